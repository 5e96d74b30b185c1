"""The review of an attempt: pack, claim and observations in, a three-coloured Verdict out.

    rules          every rule: what it does to the verdict, what it means, how to mend it
    findings       how a family makes a finding of a rule
    policy         what is protected, what is litter, which files are dependency manifests
    names, globs   paths: normalised, shown safely, matched
    shell          a command string as words and operators
    case           one attempt under review
    scope, protected, dependencies, checks, claims, worker    one family of rules each
    reviewer       StepQAReviewer: all families, one Verdict
    rework         ReworkBuilder: the Verdict as feedback, byte-identical for the same input

Pure: nothing here reads a file, a clock or a process.
"""
