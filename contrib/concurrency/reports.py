#!/usr/bin/env python3
"""Judges the reports that ThreadSanitizer left in a directory.

    tsan-reports.py DIRECTORY KNOWN PROGRAM...

The programs ran with symbolize=0: the herald, with descriptors of its own, would write to whatever has the
number of the symbolizer's pipe, and the daemon would hang. The names are looked up here. A report is known if a line of the file KNOWN is a part of the name of a function in
one of its two accesses. All others are printed. Exit status: 0 none, 1 some.
"""

import collections
import pathlib
import re
import subprocess
import sys

# The last line of every process.
COUNT = re.compile(r"^ThreadSanitizer: reported \d+ warnings$", re.M)
FRAME = re.compile(r"^ +#\d+ .*\((?P<module>[^ ()]+)\+(?P<offset>0x[0-9a-f]+)\)")


def names(program, offsets):
    """The functions at each offset, inlined ones first."""
    command = ["llvm-symbolizer", "--obj=" + str(program), "--output-style=GNU", "-p", "--inlines"]
    text = subprocess.run(
        command, input="\n".join(offsets) + "\n", capture_output=True, text=True, check=True
    ).stdout
    blocks, block = [], []
    for line in text.splitlines():
        if not line.startswith(" (inlined by) ") and block:
            blocks.append(block)
            block = []
        block.append(line.replace(" (inlined by) ", ""))
    blocks.append(block)
    if len(blocks) != len(offsets):
        sys.exit(f"llvm-symbolizer answers {len(blocks)} of {len(offsets)} questions")
    return dict(zip(offsets, blocks))


def main():
    directory, known_file, *programs = sys.argv[1:]
    known = [line for line in pathlib.Path(known_file).read_text().splitlines()
             if line and not line.startswith("#")]
    reports = []
    for log in sorted(pathlib.Path(directory).iterdir()):
        text = COUNT.sub("", log.read_text(errors="replace"))
        parts = (part.strip("\n") for part in re.split(r"^={18}$", text, flags=re.M))
        reports += filter(None, parts)

    asked = collections.defaultdict(set)
    for report in reports:
        for frame in filter(None, map(FRAME.match, report.splitlines())):
            asked[frame["module"]].add(frame["offset"])
    found = {}
    for program in map(pathlib.Path, programs):
        if offsets := sorted(asked.get(program.name, ())):
            found[program.name] = names(program, offsets)

    counts, unknown = collections.Counter(), []
    for report in reports:
        lines, accesses, section = [], [], 0
        for line in report.splitlines():
            frame = FRAME.match(line)
            if not frame:
                section += line == ""
                lines.append(line)
                continue
            functions = found.get(frame["module"], {}).get(frame["offset"], [line.strip()])
            lines += ["    " + function for function in functions]
            if section < 2:
                accesses += functions
        match = next((word for word in known if any(word in function for function in accesses)), None)
        if match and "data race" in report:
            counts[match] += 1
        else:
            unknown.append("\n".join(lines))

    for word, count in counts.most_common():
        print(f"known: {count} with {word}")
    for report in unknown:
        print("=" * 18, report, sep="\n")
    print(f"{len(unknown)} unknown reports of {len(reports)}")
    return 1 if unknown else 0


sys.exit(main())
