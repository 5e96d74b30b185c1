"""The tier-3 master contract: compiled from intake, and held against its template. Pure.

    compiler     IntakeTask and StepPack -> master_contract.md, template_snapshot.md, report
    template     the Jinja2 template: sandboxed, strict, every value inert
    conformance  headings of a contract against those of its template, by a Markdown parser

Jinja2 and markdown-it-py are loaded when a contract is compiled, not when this is imported.
"""
