"""What a person sees of a campaign: counters, trends, the summary. Pure: values in, text out.

    counters   how many tasks are in each state, and how the attempts ended
    trends     snapshots of the counters, thinned so that the file stays small for ever
    summary    `summary.md`, for a person
    view       `scoreboard.json` and `trends.json`, for machines

Equal input gives equal bytes.
"""
