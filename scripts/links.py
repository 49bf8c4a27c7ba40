"""Every link between the project's own pages leads somewhere, headings too: links.py (from the top directory)."""

import pathlib
import re
import sys

LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
CODE = re.compile(r"(`+)[^`\n].*?\1")


def prose(page):
    """The page without its code."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def anchors(page):
    """Names of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


pages = [*pathlib.Path(".").glob("*.md"), *pathlib.Path("docs").rglob("*.md")]
dead = []
for page in pages:
    for link in LINK.findall(CODE.sub("code", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists():
            dead.append(f"{page}: {link}: there is no {target}")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            dead.append(f"{page}: {link}: {target} has no such heading")
if dead:
    sys.exit("\n".join(dead))
print(f"links: {len(pages)} pages, none dead")
