"""Counts of tests, from outputs as the runners write them."""

from __future__ import annotations

import pytest

from orchestrator.verification.runners import count_tests

# output -> runner, executed, failed, skipped
OUTPUTS = [
    ("===== 3 passed in 0.12s =====\n", "pytest", 3, 0, 0),
    ("3 passed in 0.01s\n", "pytest", 3, 0, 0),
    ("== 1 failed, 2 passed, 1 skipped, 1 warning in 65.01s (0:01:05) ==", "pytest", 3, 1, 1),
    ("2 xfailed, 1 xpassed in 0.01s", "pytest", 3, 0, 0),
    ("1 passed, 2 errors in 0.01s", "pytest", 1, 2, 0),
    ("5 deselected in 0.01s", "pytest", 0, 0, 0),
    ("4 skipped in 0.01s", "pytest", 0, 0, 4),
    ("no tests ran in 0.00s", "pytest", 0, 0, 0),
    ("\x1b[32m\x1b[1m2 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m\n".replace(" in", " in"), "pytest", 2, 0, 0),
    ("999 passed in 0.01s\n1 failed, 1 passed in 0.2s\n", "pytest", 2, 1, 0),
    ("Ran 5 tests in 0.001s\n\nOK\n", "unittest", 5, 0, 0),
    ("Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=1, skipped=1)\n", "unittest", 4, 2, 1),
    ("Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", "unittest", 0, 0, 0),
    ("--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC (0.0s)\nFAIL\n", "go", 2, 1, 1),
    ("?   \tx/y\t[no test files]\n", "go", 0, 0, 0),
    ("ok  \tx/y\t0.003s [no tests to run]\n", "go", 0, 0, 0),
    ("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n"
     "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n", "cargo", 5, 1, 1),
    ("     Summary [   0.1s] 4 tests run: 3 passed, 1 failed, 2 skipped\n", "nextest", 4, 1, 2),
    ("Tests:       1 failed, 1 skipped, 2 passed, 4 total\n", "jest", 3, 1, 1),
    ("No tests found, exiting with code 0\n", "jest", 0, 0, 0),
    (" Test Files  1 passed (1)\n      Tests  1 failed | 2 passed | 1 skipped (4)\n", "vitest", 3, 1, 1),
    ("No test files found, exiting with code 1\n", "vitest", 0, 0, 0),
    ("  3 passing (12ms)\n  1 pending\n  1 failing\n", "mocha", 4, 1, 1),
    ("# tests 4\n# suites 0\n# pass 2\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n", "node", 3, 1, 1),
    ("\u2139 tests 2\n\u2139 pass 2\n\u2139 fail 0\n\u2139 skipped 0\n", "node", 2, 0, 0),
    ("OK (3 tests, 5 assertions)\n", "phpunit", 3, 0, 0),
    ("Tests: 4, Assertions: 5, Failures: 1, Skipped: 1.\n", "phpunit", 3, 1, 1),
    ("No tests executed!\n", "phpunit", 0, 0, 0),
    ("5 examples, 1 failure, 2 pending\n", "rspec", 3, 1, 2),
    ("4 runs, 9 assertions, 1 failures, 0 errors, 1 skips\n", "minitest", 3, 1, 1),
    ("Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s - in ATest\n"
     "[ERROR] Tests run: 5, Failures: 1, Errors: 1, Skipped: 1\n", "maven", 4, 2, 1),
    ("7 tests completed, 2 failed, 1 skipped\n", "gradle", 6, 2, 1),
    ("Passed!  - Failed:     0, Passed:     3, Skipped:     1, Total:     4, Duration: 9 ms\n", "dotnet", 3, 0, 1),
    ("67% tests passed, 1 tests failed out of 3\n", "ctest", 3, 1, None),
    ("No tests were found!!!\n", "ctest", 0, 0, 0),
    ("ok | 3 passed | 0 failed (5ms)\n", "deno", 3, 0, 0),
    (" 3 pass\n 1 fail\nRan 4 tests across 1 files. [9.00ms]\n", "bun", 4, 1, 0),
    ("Executed 5 tests, with 1 test skipped and 2 failures (0 unexpected) in 0.1 seconds\n", "swift", 4, 2, 1),
    ("2 doctests, 5 tests, 1 failure, 1 skipped\n", "exunit", 4, 1, 1),
    ("Files=2, Tests=9,  0 wallclock secs\n", "prove", 9, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("output", "runner", "executed", "failed", "skipped"), OUTPUTS)
def test_a_runners_own_summary_is_read(
    output: str, runner: str, executed: int, failed: int | None, skipped: int | None
) -> None:
    found = count_tests(output)
    assert found is not None
    assert (found.runner, found.executed) == (runner, executed)
    assert (found.failed, found.skipped) == (failed, skipped)


@pytest.mark.parametrize(
    "output",
    ["", "ok", "ok  \tx/y\t0.003s\n", "All checks passed!\n", "Success: no issues found in 3 source files",
     "3 tests are planned", "12 in total", "BUILD SUCCESSFUL in 1s", "passed in review", "compiled 3 files in 2s",
     "1 warning in 0.1s"],
)  # fmt: skip
def test_an_output_without_a_count_gives_none(output: str) -> None:
    assert count_tests(output) is None


def test_the_runner_of_the_command_is_asked_first() -> None:
    output = "Ran 2 tests in 0.1s\n\nOK\n=== 3 passed in 0.1s ===\n"
    for command, executed in (("python -m unittest", 2), ("python -m pytest", 3)):
        found = count_tests(output, command)
        assert found is not None
        assert found.executed == executed


def test_windows_line_ends_are_read() -> None:
    found = count_tests("Ran 5 tests in 0.001s\r\n\r\nOK\r\n")
    assert found is not None
    assert found.executed == 5
