"""Is a task ready, and which route does it take? Pure: a task in, an answer with reasons out.

validator.RouteDoDValidator   route and definition of done are there and mean something
router.TierRouter             tier2 (lightweight) or tier3 (contract first), every reason named
backlog.intake_task           a task of the queue and its StepPack, as an IntakeTask

The findings are `protocol.verdict.Finding`; nothing here raises on what a person wrote.
"""
