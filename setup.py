"""What pyproject.toml cannot say: README.md on a package index, which has no files beside it.

With `[project.urls] Repository` its relative links and its picture lead there. Without, the
picture gives way to its alternative text, and a link to its words.
"""

import re

from setuptools import Distribution, setup

PICTURE = re.compile(r'<img src="(?!https?:)([^"]+)"([^>]*?alt="([^"]+)"[^>]*)>')
LINK = re.compile(r"\[([^]]+)\]\((?!https?:|#)([^)]+)\)")


def whole(text, repository=None):
    """Return Markdown without a relative address."""
    if repository is None:
        return LINK.sub(r"\1", PICTURE.sub(r"*\3*", text))
    base = repository.removesuffix("/").removesuffix(".git")
    text = PICTURE.sub(rf'<img src="{base}/raw/HEAD/\1"\2>', text)
    return LINK.sub(rf"[\1]({base}/blob/HEAD/\2)", text)


class WithWholeReadme(Distribution):
    """A distribution whose long description is the README with whole links."""

    def parse_config_files(self, *args, **kwargs):
        """Read pyproject.toml, then mend what it has read of the README."""
        super().parse_config_files(*args, **kwargs)
        repository = (self.metadata.project_urls or {}).get("Repository")
        self.metadata.long_description = whole(self.metadata.long_description, repository)


if __name__ == "__main__":
    setup(distclass=WithWholeReadme)
