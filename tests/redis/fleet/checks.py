"""What the fleet's tests say with: checks that are counted, and waits that end."""
import concurrent.futures
import time
import traceback


class Failed(AssertionError):
    pass


count = 0
TESTS = []  # of the module that is run: functions, in the order they were written


def test(function):
    TESTS.append(function)
    return function


def check(holds, what):
    global count
    count += 1
    if not holds:
        raise Failed(what() if callable(what) else what)


def equal(expected, got, what):
    check(expected == got, lambda: f"{what}: expected {expected!r}, got {got!r}")


def one_of(expected, got, what):
    check(got in expected, lambda: f"{what}: expected one of {expected!r}, got {got!r}")


def until(condition, what, seconds=30, every=0.01):
    """The first true answer of `condition`; how long that took is no promise, so the limit is generous."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            check(True, what)
            return answer
        if time.monotonic() > deadline:
            check(False, lambda: f"after {seconds} s still not: {what() if callable(what) else what}; got {answer!r}")
        time.sleep(every)


def run(names=(), at_once=1):
    """Runs the tests, or those whose names have one of `names` in them, so many at once; how many failed."""
    chosen = [function for function in TESTS if not names or any(name in function.__name__ for name in names)]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(fails, chosen))


def fails(function):
    begin = time.monotonic()
    try:
        function()
    except Exception:  # the next one may still tell something
        print(f"FAILED {function.__name__}\n{traceback.format_exc()}", flush=True)
        return True
    print(f"  {function.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
    return False
