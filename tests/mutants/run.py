#!/usr/bin/env python3
"""Mutation testing: changes the source in one small place at a time and sees whether a test fails.

    cargo install cargo-mutants --locked --version 27.1.0   # lists the mutations, beside those of operators.py
    tests/mutants/run.py --count 120 --seed 1                # a sample, spread over the rooms by their size
    tests/mutants/run.py --named                             # those of named.py
    tests/mutants/run.py --room src/json --count 10          # of one room only; also --list, --only ID, --again
    tests/mutants/run.py --summary                           # what is known so far, with the survivors' diffs

Results are added to WORK/results.jsonl (--work, target/mutants by default): a mutation that is in it is not run again
unless its file has changed; --again runs those that survived. What cannot be told from the original by any test
stands in equivalent.txt, with the reason, and is not run.
"""
import argparse
import difflib
import hashlib
import json
import os
import random
import sys
import time

sys.dont_write_bytecode = True
import operators
from scratch import Command, Scratch

# Which suites cover a room. Cheap ones first; within these the order is found by what has killed most in least time.
ROOMS = {
    "src/json": ["rust", "unit", "c", "python", "row16"],
    "src/document": ["rust", "c", "python", "row16"],
    "src/batch": ["rust", "c", "python"],
    "src/file": ["rust", "unit", "c", "checked", "python", "odd", "row17", "row14", "row10", "row15", "row09", "row16",
                 "row04", "row03", "row06", "row05", "row01"],
    "src/ffi": ["rust", "unit", "c", "python", "flagctl", "cpp", "ruby", "go"],
    "src/sys": ["rust", "unit", "c", "checked", "python", "odd", "row17", "row14", "row15", "row06", "row05", "row08"],
    # Not in the sample, but for --room.
    "src": ["rust", "unit", "c", "checked", "python", "flagctl", "ruby"],
}
SAMPLED = [room for room in ROOMS if room != "src"]
FAMILIES = ["value", "operator", "constant", "statement"]  # take turns in the sample


def suites(scratch):
    """The commands of each suite."""
    python = sorted(name[:-3] for name in os.listdir(os.path.join(scratch.tree, "tests/python"))
                    if name.startswith("test_"))
    found = [
        Command("rust", "contract", ["@contract"]),
        Command("rust", "artifact", ["@artifact"]),
        *[Command("rust", "fuzz " + name, ["@fuzz_corpus", name]) for name in ("any_bytes", "any_text", "any_calls")],
        Command("unit", "lib", ["@flagstore"], alone=True, build="unit"),
        *[Command("c", name, [program]) for name, program in scratch.c_programs("plain", [])],
        *[Command("checked", name, [program])
          for name, program in scratch.c_programs("checked", ["-DREAD_MODE=FLAGSTORE_READ_CHECKED"])],
        *[Command("python", name, ["python3", "-m", "unittest", "-q", name], "tests/python") for name in python],
        Command("flagctl", "flagctl.sh", ["sh", "tests/flagctl.sh"]),
        Command("cpp", "run.sh", ["sh", "tests/cpp/run.sh"]),
        Command("ruby", "run.sh", ["sh", "tests/ruby/run.sh"], alone=True),
        Command("go", "run.sh", ["sh", "tests/go/run.sh"], alone=True, limited=False),  # its race detector wants it all
    ]
    for name in sorted(os.listdir(os.path.join(scratch.tree, "tests/faults"))):
        if name.startswith(("row", "odd")) and name.endswith(".py") and name != "odd.py":
            path = os.path.join("tests/faults", name)
            suite = name[:5] if name.startswith("row") else "odd"
            found.append(Command(suite, name, ["python3", path], alone=True, build="plain"))
    return found


class Campaign:
    def __init__(self, root, options):
        self.root, self.options = root, options
        os.makedirs(options.work, exist_ok=True)
        self.scratch = Scratch(root, options.work)
        self.texts, self.mutations = operators.everything(root)
        self.by_id = {one.id: one for one in self.mutations}
        self.hashes = {file: hashlib.sha256(text.encode()).hexdigest()[:16] for file, text in self.texts.items()}
        self.results = {one["id"]: one for one in self.stored("results.jsonl")
                        if one["id"] in self.by_id and one["source"] == self.hashes[one["file"]]}
        with open(os.path.join(os.path.dirname(__file__), "equivalent.txt"), encoding="utf-8") as file:
            self.equivalent = {line.split()[0]: line.split(None, 1)[1].strip() for line in file
                               if line.strip() and not line.startswith("#")}
        self.seconds, self.kills, self.runs = {}, {}, {}
        for one in self.stored("results.jsonl"):
            self.count(one)

    def stored(self, name):
        path = os.path.join(self.options.work, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def store(self, name, one):
        with open(os.path.join(self.options.work, name), "a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")

    def count(self, result):
        for name, outcome in result["ran"]:
            self.runs[name] = self.runs.get(name, 0) + 1
            self.kills[name] = self.kills.get(name, 0) + (outcome != "passed")

    # ---- the sample ----

    def room_of(self, file):
        return next(room for room in ROOMS if file.startswith(room))

    def shuffled(self, room):
        """The room's mutations in the seed's order, the families by turns."""
        chance = random.Random(f"{self.options.seed} {room}")
        piles = []
        for family in FAMILIES:
            pile = sorted((one for one in self.mutations if one.file.startswith(room) and one.family == family),
                          key=lambda one: one.id)
            chance.shuffle(pile)
            piles.append(pile)
        longest = max(map(len, piles))
        return [pile[turn] for turn in range(longest) for pile in piles if turn < len(pile)]

    def quotas(self):
        """How many of each room: by its lines of code, and at least one."""
        rooms = self.options.room or SAMPLED
        sizes = {room: sum(operators.lines_of_code(text) for file, text in self.texts.items() if file.startswith(room))
                 for room in rooms}
        total = sum(sizes.values())
        shares = {room: self.options.count * size / total for room, size in sizes.items()}
        quotas = {room: max(1, int(share)) for room, share in shares.items()}
        for room in sorted(rooms, key=lambda room: int(shares[room]) - shares[room]):
            if sum(quotas.values()) < self.options.count:
                quotas[room] += 1
        return quotas

    def chosen(self):
        """Yields what is to be run or is known; one that cannot be built makes room for the next of its room."""
        options = self.options
        if options.only or options.named:
            unknown = [one for one in options.only or [] if one not in self.by_id]
            if unknown:
                raise SystemExit(f"no such mutation: {' '.join(unknown)}")
            yield from (one for one in self.mutations if one.id in (options.only or []) or
                        options.named and one.family == "named")
            return
        for room, quota in self.quotas().items():
            for one in self.shuffled(room):
                if quota == 0:
                    break
                yield one
                known = self.results.get(one.id)
                quota -= not (known and known["outcome"] == "unviable")

    # ---- the run ----

    def prepare(self):
        """Builds what is not mutated, runs it through every suite that is needed, and takes the times."""
        self.scratch.copy()
        started = time.monotonic()
        self.tests = {}
        for build in ("plain", "unit", "checked"):
            built = self.scratch.build(build)
            if isinstance(built, str):
                raise SystemExit(f"the original cannot be built: {built}")
            self.tests |= built
        print(f"built in {time.monotonic() - started:.0f} s", flush=True)
        skipped = set(self.options.skip or [])
        wanted = set(self.options.suite or [])
        self.commands = [one for one in suites(self.scratch)
                         if not skipped & {one.suite, one.name} and (not wanted or wanted & {one.suite, one.name})]
        state = hashlib.sha256("".join(self.hashes.values()).encode()).hexdigest()[:16]
        for one in self.stored("baseline.jsonl"):
            if one["state"] == state:
                self.seconds[one["name"]] = one["seconds"]
        self.state = state

    def baseline(self, commands):
        """Those that have not run on the original yet must pass there."""
        for command in commands:
            name = f"{command.suite} {command.name}"
            if name not in self.seconds:
                ended, seconds, words = self.scratch.run(command, self.tests, 900)
                self.scratch.reap()
                if ended != "passed":
                    raise SystemExit(f"fails without any mutation (--skip it, or mend it): {name}: {ended}\n{words}")
                if "SKIPPED" in words:
                    print(f"warning: {name}: {words.strip()[-200:]}", flush=True)
                self.seconds[name] = seconds
                self.store("baseline.jsonl", {"state": self.state, "name": name, "seconds": round(seconds, 2)})

    def limit(self, command):
        return max(30, 8 * self.seconds[f"{command.suite} {command.name}"])

    def worth(self, command):
        """The share of mutants that it has killed, for each second that it takes."""
        name = f"{command.suite} {command.name}"
        return (self.kills.get(name, 0) + 1) / (self.runs.get(name, 0) + 4) / (self.seconds[name] + 0.2)

    def attempt(self, mutation):
        """One mutant: built, and run until a suite fails."""
        started = time.monotonic()
        names = ROOMS[self.room_of(mutation.file)]
        commands = [one for one in self.commands if one.suite in names]
        self.baseline(commands)
        result = {"id": mutation.id, "file": mutation.file, "source": self.hashes[mutation.file],
                  "what": mutation.what, "outcome": "survived", "by": "", "ran": [], "words": ""}
        self.scratch.write(mutation.file, mutation.applied(self.texts[mutation.file]))
        try:
            self.judge(result, commands)
        finally:
            self.scratch.write(mutation.file, self.texts[mutation.file])
            self.scratch.restore_header()
        result["seconds"] = round(time.monotonic() - started, 1)
        self.results[mutation.id] = result
        self.count(result)
        self.store("results.jsonl", result)
        return result

    def equal(self, mutation):
        """The result of one that equivalent.txt names."""
        return {"id": mutation.id, "file": mutation.file, "outcome": "survived", "by": "", "seconds": 0}

    def judge(self, result, commands):
        started = time.monotonic()
        tests = self.scratch.build("checked")
        result["build"] = round(time.monotonic() - started, 1)
        if isinstance(tests, str):
            result["outcome"], result["words"] = "unviable", tests
            return
        if self.scratch.header_is_changed():
            result["outcome"], result["by"] = "killed", "the committed header"
            return
        together = sorted((one for one in commands if not one.alone), key=self.worth, reverse=True)
        rounds = [(together, self.options.jobs)]
        rounds += [([one], 1) for one in sorted((one for one in commands if one.alone), key=self.worth, reverse=True)]
        built = {"checked"}
        for rest, jobs in rounds:
            if rest and rest[0].build not in built:
                built.add(rest[0].build)
                more = self.scratch.build(rest[0].build)
                if isinstance(more, str):
                    raise SystemExit(f"{result['id']}: builds as `checked` only: {more}")
                tests |= more
            while rest:
                ran = self.scratch.run_all(rest, tests, self.limit, jobs)
                for command, ended, _, words in ran:
                    name = f"{command.suite} {command.name}"
                    if ended == "failed" and jobs > 1:
                        # Is it the mutation, or the company? Once more, alone.
                        ended, _, words = self.scratch.run(command, tests, self.limit(command))
                        self.scratch.reap()
                        if ended == "passed":
                            result.setdefault("unsteady", []).append(name)
                    result["ran"].append((name, ended))
                    if ended in ("failed", "timeout"):
                        result["outcome"] = "killed" if ended == "failed" else "timed out"
                        result["by"], result["words"] = name, words[-600:]
                        return
                done = {id(one[0]) for one in ran}
                rest = [one for one in rest if id(one) not in done]

    # ---- what came of it ----

    def diff(self, mutation):
        old = self.texts[mutation.file]
        lines = difflib.unified_diff(old.splitlines(), mutation.applied(old).splitlines(), mutation.file, mutation.file,
                                     n=2, lineterm="")
        return "\n".join(lines)

    def summary(self, results):
        counts, rooms = {}, {}
        for one in results:
            outcome = one["outcome"]
            if outcome == "survived" and one["id"] in self.equivalent:
                outcome = "equivalent"
            counts[outcome] = counts.get(outcome, 0) + 1
            room = rooms.setdefault(self.room_of(one["file"]), {})
            room[outcome] = room.get(outcome, 0) + 1
            if outcome == "survived":
                print(f"\nSURVIVED {self.by_id[one['id']]}\n{self.diff(self.by_id[one['id']])}")
        for one in results:
            for name in one.get("unsteady", []):
                print(f"unsteady: {name} failed once and then passed with {one['id']} ({one['outcome']})")
        print()
        for room, of_room in [*sorted(rooms.items()), ("all", counts)]:
            print(f"{room:14}", ", ".join(f"{number} {outcome}" for outcome, number in sorted(of_room.items())))
        killed, survived = counts.get("killed", 0) + counts.get("timed out", 0), counts.get("survived", 0)
        if killed + survived:
            print(f"{100 * killed / (killed + survived):.1f} % of {killed + survived} killed, "
                  f"{sum(one['seconds'] for one in results) / len(results):.1f} s each")
        killers = {}
        for one in results:
            if one["by"]:
                killers[one["by"]] = killers.get(one["by"], 0) + 1
        print("by", ", ".join(f"{name}: {number}" for name, number in sorted(killers.items(), key=lambda it: -it[1])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--room", action="append", help="a folder or file of src; may be repeated")
    parser.add_argument("--named", action="store_true")
    parser.add_argument("--only", action="append", metavar="ID")
    parser.add_argument("--again", action="store_true", help="runs anew what has survived so far")
    parser.add_argument("--list", action="store_true", help="says what would be run")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--suite", action="append", help="a suite or a command of one; may be repeated; all by default")
    parser.add_argument("--skip", action="append", metavar="SUITE")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), help="commands at a time: most wait")
    parser.add_argument("--work", help="the folder of copy, builds and results")
    options = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options.work = os.path.abspath(options.work or os.path.join(root, "target/mutants"))
    campaign = Campaign(root, options)
    if options.summary:
        campaign.summary(list(campaign.results.values()))
        return
    if options.list:
        for one in campaign.chosen():
            print(one)
        return
    campaign.prepare()
    results = []
    for one in campaign.chosen():
        result = campaign.results.get(one.id)
        if one.id in campaign.equivalent and not options.only:
            result = result or campaign.equal(one)
        elif not result or options.only or (options.again and result["outcome"] == "survived"):
            result = campaign.attempt(one)
            why = result["words"] if result["outcome"] == "unviable" else result["by"]
            times = f"{result['seconds']:6.1f} s (build {result['build']:.1f})"
            print(f"{result['outcome']:9} {times} {one}  {why}", flush=True)
        results.append(result)
    campaign.summary(results)
    sys.exit(any(one["outcome"] == "survived" and one["id"] not in campaign.equivalent for one in results))


main()
