"""The engine: drives tasks through their life over ports, and knows no file, SQL or process.

ports        what the engine needs from the world
entries      the bodies of ledger entries
record       a review's evidence: the claim, the facts, the verdict
phases       how far a contract's gates let an attempt go
effects      what follows a decision, repeated until it is done
cycle        one task: claim, prepare, rounds of dispatch and review, finish
campaign     cycles until the queue is drained or a limit stops it
step         one step outside the queue
reports      how cycles run and how they ended, for people
recovery     what a dead controller left: finished or closed, told either way
replay       a run's story and state, from its entries alone
controller   ControllerEngine, the face of it all
"""
