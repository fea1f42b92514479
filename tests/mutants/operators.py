"""The mutations: what cargo-mutants lists, and some operators of our own on the text of the source.

Each has an id that stays the same while other lines of the file come and go.
"""
import hashlib
import json
import os
import re
import subprocess

import named

CARGO_MUTANTS = "27.1.0"  # another version lists others, so a seed would draw another sample


class Mutation:
    def __init__(self, file, text, start, end, new, family, what):
        self.file, self.start, self.end, self.new = file, start, end, new
        self.family, self.what = family, what
        self.old = text[start:end]
        self.line = text.count("\n", 0, start) + 1
        self.id = None  # given by `numbered`

    def applied(self, text):
        return text[:self.start] + self.new + text[self.end:]

    def __str__(self):
        return f"{self.id} {self.file}:{self.line}: {self.what}"


def numbered(mutations, texts):
    """Gives the ids: from the file, the lines that change, and a count where these are the same."""
    seen = {}
    for mutation in mutations:
        text = texts[mutation.file]
        start = text.rfind("\n", 0, mutation.start) + 1
        end = text.find("\n", mutation.end)
        changed = text[start:mutation.start] + "\0" + mutation.new + "\0" + text[mutation.end:end]
        key = "\0".join([mutation.file, mutation.old, " ".join(changed.split())])
        seen[key] = count = seen.get(key, 0) + 1
        mutation.id = hashlib.sha256(f"{key}\0{count}".encode()).hexdigest()[:8]
    return mutations


def of_named(texts):
    """Those that have a name: each text is looked for in all files, so that it may move."""
    found = []
    for what, old, new in named.MUTATIONS:
        places = [(file, text.index(old)) for file, text in texts.items() if text.count(old) == 1]
        if len(places) != 1 or any(text.count(old) > 1 for text in texts.values()):
            raise SystemExit(f"tests/mutants/named.py: not in exactly one place: {what}: {old!r}")
        file, start = places[0]
        found.append(Mutation(file, texts[file], start, start + len(old), new, "named", what))
    return found


def of_cargo_mutants(root, texts):
    try:
        version = subprocess.run(["cargo", "mutants", "--version"], capture_output=True, text=True, cwd=root)
    except OSError as error:
        raise SystemExit(f"cargo: {error}") from None
    if version.returncode != 0:
        raise SystemExit(f"needs: cargo install cargo-mutants --locked --version {CARGO_MUTANTS}")
    if CARGO_MUTANTS not in version.stdout:
        print(f"warning: {version.stdout.strip()} is not {CARGO_MUTANTS}: another sample", flush=True)
    listed = subprocess.run(["cargo", "mutants", "--list", "--json"], cwd=root, check=True, stdout=subprocess.PIPE)
    lines = {file: [0] + [at.end() for at in re.finditer("\n", text)] for file, text in texts.items()}
    found = []
    for one in json.loads(listed.stdout):
        file = one["file"]
        if file in texts:
            begin, end = (lines[file][one["span"][side]["line"] - 1] + one["span"][side]["column"] - 1
                          for side in ("start", "end"))
            family = "value" if one["genre"] == "FnValue" else "operator"
            what = one["name"].split(": ", 1)[1]
            found.append(Mutation(file, texts[file], begin, end, one["replacement"], family, what))
    return found


# ---- our own ----

LEXED = re.compile(r"""
    //[^\n]* | /\*.*?\*/ | b?r(\#*)".*?"\1 | [bc]?"(?:[^"\\]|\\.)*" | b?'(?:[^'\\\n]|\\(?:x..|u\{[^}]*\}|.))'
""", re.S | re.X)
ATTRIBUTE = re.compile(r"#!?\[[^\]\n]*\]")
NUMBER = re.compile(r"""
    (?<!\w)(?<!(?<!\.)\.) (0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*) ([iu](?:8|16|32|64|128|size))? (?!\w|\.\w)
""", re.X)
NO_STATEMENT = re.compile(r"(let|use|pub|const|static|mod|return|type|fn|extern|impl|struct|enum)\b|[}\])#.?|&]")


def blanked(text):
    """The text with blanks for comments, strings and attributes, and for the tests inside the file."""
    def blank(found):
        return re.sub(r"[^\n]", " ", found.group())
    text = ATTRIBUTE.sub(lambda found: found.group() if "cfg(test)" in found.group() else blank(found),
                         LEXED.sub(blank, text))
    while (test := text.find("#[cfg(test)]")) >= 0:
        opened, semicolon = text.find("{", test), text.find(";", test)
        end = semicolon + 1
        if opened >= 0 and (semicolon < 0 or opened < semicolon):
            depth, end = 1, opened + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
        text = text[:test] + re.sub(r"[^\n]", " ", text[test:end]) + text[end:]
    return text


def next_number(found):
    digits, kind = found.group(1), found.group(2) or ""
    number = int(digits.replace("_", ""), 0) if digits[:2] in ("0x", "0o", "0b") else int(digits.replace("_", ""))
    form = {"0x": "{:#x}", "0o": "{:#o}", "0b": "{:#b}"}.get(digits[:2], "{}")
    return form.format(number + 1) + kind


REPLACED = [
    ("constant", NUMBER, next_number),
    ("constant", re.compile(r"\b(true|false)\b"), lambda found: "false" if found.group() == "true" else "true"),
    ("operator", re.compile(r"(?<=[\w)\]])\.\.(?=[\w(])"), lambda found: "..="),
    ("operator", re.compile(r"(?<=\.)(min|max)(?=\()"), lambda found: "max" if found.group() == "min" else "min"),
    ("operator", re.compile(r"(?<=\.)(any|all)(?=\()"), lambda found: "all" if found.group() == "any" else "any"),
    ("operator", re.compile(r"\b(is_some|is_none|is_ok|is_err)(?=(_and)?\b)"),
     lambda found: {"is_some": "is_none", "is_none": "is_some", "is_ok": "is_err", "is_err": "is_ok"}[found.group()]),
]


def of_text(file, text):
    code = blanked(text)
    found = []
    for family, pattern, changed in REPLACED:
        for at in pattern.finditer(code):
            new = changed(at)
            found.append(Mutation(file, text, at.start(), at.end(), new, family, f"{at.group()} becomes {new}"))
    return found + of_statements(file, text, code)


def of_statements(file, text, code):
    """Deletes statements of one line, and swaps two that stand one after the other."""
    found = []
    begins = [0] + [at.end() for at in re.finditer("\n", code)]
    before, last = "{", None  # the end of the code before; the statement that it was
    for begin, line in zip(begins, code.split("\n")):
        words = line.strip()
        if not words:
            continue
        indent = len(line) - len(line.lstrip())
        whole = words.endswith(";") and before in "{};" and indent >= 4 and "(" in words + "(" * ("=" in words)
        whole = whole and all(words.count(a) == words.count(b) for a, b in ("()", "[]", "{}"))
        if whole and not words.startswith(("use ", "const ", "static ", "pub ", "type ", "mod ", "return")):
            start, end = begin + indent, begin + len(line.rstrip())
            is_let = words.startswith("let ")
            if not NO_STATEMENT.match(words):
                found.append(Mutation(file, text, start, end, "", "statement", f"delete `{text[start:end]}`"))
            if last and last[2] == indent and not (is_let and last[3]):
                first, second = text[last[0]:last[1]], text[start:end]
                swapped = second + text[last[1]:start] + first
                found.append(Mutation(file, text, last[0], end, swapped, "statement", f"swap `{first}` and `{second}`"))
            last = (start, end, indent, is_let)
        else:
            last = None
        before = words[-1]
    return found


def sources(root):
    """The text of each file of src, but for those that are tests themselves."""
    texts, tests = {}, set()
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in names:
            if name.endswith(".rs"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    texts[os.path.relpath(path, root)] = text = file.read()
                tests |= {os.path.join(os.path.relpath(folder, root), module + ".rs")
                          for module in re.findall(r"#\[cfg\(test\)\]\s*mod (\w+);", text)}
    return {file: text for file, text in sorted(texts.items()) if file not in tests}


def everything(root):
    texts = sources(root)
    mutations = of_named(texts) + of_cargo_mutants(root, texts)
    for file, text in texts.items():
        mutations += of_text(file, text)
    unique = {(one.file, one.start, one.end, one.new): one for one in reversed(mutations) if one.old != one.new}
    return texts, numbered(list(unique.values())[::-1], texts)


def lines_of_code(text):
    return sum(1 for line in blanked(text).split("\n") if line.strip())


