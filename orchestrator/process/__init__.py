"""Phase contracts as data: the phases a task goes through, and what lets it on.

contract   the frozen model PhaseContract
loader     bytes -> PhaseContract, linted; every fault named file:line:col
lint       what must hold between the parts of a contract; `graph` for the moves
catalog    the names of checks, rules and actions that this program carries out
diagram    a contract as Mermaid text
builtin    the contracts that come with the program: tier2, tier3
"""
