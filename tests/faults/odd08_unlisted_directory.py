#!/usr/bin/env python3
"""Odd machines 8: in a directory that may be written but not listed (mode 0733, Landlock) everything is read and
changed: a durable set is done, or says by which option it can be. A WATCHED store reads as CHECKED and tells so."""
import common
from odd import ALICE, MODES, House, as_user, each, need_root, tools
from scenarios import DOCUMENT

OK, NOT_DURABLE = 0, 11
WHO = as_user(ALICE, ALICE)
FULL, NONE, ORDERED = 0, 1, 2


def house_of(root, file=True):
    house = House(root, mode=0o733)
    return house.file(0o666, (ALICE, ALICE)) if file else house


def durable_set(root, one_call, _reader, there):
    house = house_of(root, there)
    outcome, lines = house.call(one_call, "set", "flag", "2", **WHO)
    if outcome.code in (OK, NOT_DURABLE):
        return house.holds({**DOCUMENT, "flag": 2} if there else {"flag": 2})
    common.promise("SYNC_" in outcome.result, house, "names no way out:", outcome, lines)
    return None


def other_sets(root, one_call, _reader, durability):
    house = house_of(root)
    house.set(one_call, 2, f"-d{durability}", **WHO)


def reads(root, _one_call, reader, mode):
    house = house_of(root)
    wanted = int(mode == "WATCHED")
    process = common.start(reader, house.path, MODES[mode], 50, wanted, stdout=-1, text=True,
                           env={"LD_LIBRARY_PATH": root}, **WHO)
    common.end_of(process, f"reads, {mode}", common.DEADLINE * 2)
    common.forget(process)
    failed, lines = map(int, process.stdout.read().split())
    common.promise(failed == 0 and lines == wanted, house, failed, "reads failed,", lines, "lines in the log")


def test(root):
    one_call, reader = tools(root, "one_call", "odd03_settle_once")
    calls = [(durable_set, True), (durable_set, False), (other_sets, NONE), (other_sets, ORDERED),
             *((reads, mode) for mode in MODES)]
    each("odd8", "a directory of mode 0733", [
        (f"{call.__name__} {argument}", lambda call=call, argument=argument: call(root, one_call, reader, argument))
        for call, argument in calls])


if __name__ == "__main__":
    need_root("odd8")
    common.run(test)
