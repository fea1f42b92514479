"""Small programs for tests that need a process of their own."""
import os
import subprocess
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))


def start(source, *arguments, program=None, **options):
    return subprocess.Popen([program or sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE, **options)


def run(source, *arguments, seconds=60, **options):
    """(exit status, what it prints, what it complains of); "hangs" for a status if it does."""
    return end_of(start(source, *arguments, **options), seconds)


def end_of(process, seconds=60):
    try:
        out, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, complaints = process.communicate()
        return "hangs", out, complaints
    return process.returncode, out, complaints
