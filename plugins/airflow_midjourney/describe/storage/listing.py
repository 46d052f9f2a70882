"""The pages of one prefix, checked: by keys where the server keeps their order, else walked from the beginning."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import StorageDeniedError, StorageError, StorageUnavailableError

if TYPE_CHECKING:
    from airflow_midjourney.describe.storage.listed_images import ListedImage, Page
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Pages in a row without a new key after which a server that goes on promising more is given up.
MOST_EMPTY_PAGES: Final = 100

#: Seconds for which a page that was fetched ahead still says how things are.
_FRESH: Final = 60.0


class UnorderedListingError(Exception):
    """A listing is not in the order of its keys, so that no key says how far it has come; it has to be walked.

    :param description: what the server did.
    """


@dataclass(frozen=True, slots=True)
class CheckedPage:
    """Some images of a prefix, each of them for the first time in this listing.

    :param seen: how many keys there were, the unwanted among them.
    :param then: where the next page starts; None at the end of the prefix.
    :param is_counted: False where a walk that began anew passes what was counted before.
    """

    images: tuple[ListedImage, ...]
    seen: int
    then: Position | None
    is_counted: bool = True


@dataclass(slots=True)
class _Walk:
    """How far a walk has come, and what it has met: enough to notice that it goes in a circle."""

    pages: int = 0
    continuation: str = ""
    met: set[bytes] = field(default_factory=set)
    before: frozenset[str] = frozenset()


class PrefixListing:
    """The pages of one prefix, one after the other. Belongs to one worker.

    While keys ascend, the position is a key, which survives years, and the continuation token after it, which shows a
    later process the order of the server. A page is given only when the first key of the next one has been seen to
    follow its last, so that a server with an order of its own is noticed before a position is kept that would pass over
    some of its keys.

    :param images: where the prefix is.
    :param suffixes: the wanted endings; None for all keys.
    """

    def __init__(
        self, images: ImageStore, bucket: str, prefix: str, source: int, suffixes: frozenset[str] | None
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.source = source
        self._images = images
        self._suffixes = suffixes
        self._ahead: tuple[str, Page, float] | None = None
        self._walk: _Walk | None = None
        self._began_anew = False

    def read(self, position: Position) -> CheckedPage:
        """Read the next page.

        :raises UnorderedListingError: the position is a key, and the server has an order of its own.
        :raises SettingsError: no key below the prefix can be within ``allowed_uris``.
        :raises StorageError: S3 cannot be read, or lists in a way that has no end.
        """
        if position.pages is None:
            return self._read_in_order(position)
        return self._read_of_walk(position)

    # In the order of keys

    def _read_in_order(self, position: Position) -> CheckedPage:
        after = position.after
        page = self._taken_ahead(after)
        if page is None:
            page = self._in_order(self._going_on(position.continuation, after), after)
            if not page.keys and not page.is_last:
                page = self._following(page, after) or replace(page, is_last=True)
        following = self._following(page, page.keys[-1]) if page.keys else None
        if following is None:
            return CheckedPage(page.images, page.seen, None)
        last = page.keys[-1]
        self._ahead = (last, following, time.monotonic())
        return CheckedPage(page.images, page.seen, Position(self.source, last, page.continuation))

    def _taken_ahead(self, after: str) -> Page | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != after or time.monotonic() - ahead[2] > _FRESH:
            return None
        return ahead[1]

    def _starting_after(self, after: str) -> Page:
        try:
            return self._fetch(after=after)
        except StorageError as error:
            if after and _is_about_the_request(error):
                raise UnorderedListingError("does not start a listing after a key (StartAfter)") from error
            raise

    def _following(self, page: Page, after: str) -> Page | None:
        """Give the next page that has a key.

        :param after: the last key before it.
        :return: None if there is none.
        """
        for _ in range(MOST_EMPTY_PAGES):
            if page.is_last:
                return None
            if not page.continuation and not page.keys:
                raise self._gives_up("says that there is more, and gives neither keys nor a continuation token")
            page = self._in_order(self._going_on(page.continuation, after), after)
            if page.keys:
                return page
        if page.is_last:
            return None
        raise self._gives_up(f"says that there is more, and gave no new key in {MOST_EMPTY_PAGES} answers")

    def _going_on(self, continuation: str, after: str) -> Page:
        if not continuation:
            return self._starting_after(after)
        try:
            return self._fetch(continuation=continuation)
        except StorageError as error:
            # The token may be of another day; a key is always good.
            if not after or not _is_about_the_request(error):
                raise
            return self._starting_after(after)

    def _in_order(self, page: Page, after: str) -> Page:
        """Give a page without the keys that were given before, each once.

        :raises UnorderedListingError: its keys do not ascend, or do not lie after the position.
        """
        new, last = [], after
        for key in page.keys:
            if key < last:
                raise UnorderedListingError(f"gives {key!r} after {last!r}")
            if key != last:
                new.append(key)
            last = key
        if len(new) == len(page.keys):
            return page
        if not new and not page.is_last and not page.continuation:
            raise UnorderedListingError(f"gives {last!r} again")
        return _only(page, frozenset(new), tuple(new))

    # In the order of the server

    def _read_of_walk(self, position: Position) -> CheckedPage:
        counted = position.pages or 0
        walk, self._walk = self._walk, None
        if walk is None or walk.pages > counted:
            walk = _Walk()
        try:
            page = self._next_of_walk(walk)
        except StorageError as error:
            # A walk that was paused may find that its token has expired; one that has just begun does not.
            if self._began_anew or not walk.pages or not _is_about_the_request(error):
                raise
            self._began_anew, walk = True, _Walk()
            page = self._next_of_walk(walk)
        is_counted = walk.pages == counted
        walk.pages += 1
        if page.is_last:
            return CheckedPage(page.images, page.seen, None, is_counted)
        self._walk = walk
        then = Position.walked(self.source, walk.pages) if is_counted else position
        return CheckedPage(page.images, page.seen, then, is_counted)

    def _next_of_walk(self, walk: _Walk) -> Page:
        """Go on to the next page that has new keys, or to the end.

        :raises StorageError: the walk would have no end.
        """
        for _ in range(MOST_EMPTY_PAGES):
            page = self._fetch(continuation=walk.continuation)
            new = tuple(dict.fromkeys(key for key in page.keys if key not in walk.before))
            if page.keys and not page.is_last:
                self._meet(walk, "gives the same page again", *page.keys)
                walk.before = frozenset(page.keys)
            if not page.is_last:
                if not page.continuation:
                    raise self._gives_up("says that there is more, and gives no continuation token")
                self._meet(walk, "gives the same continuation token again", "", page.continuation)
            walk.continuation = page.continuation
            if new or page.is_last:
                return _only(page, frozenset(new), new)
        raise self._gives_up(f"says that there is more, and gave no new key in {MOST_EMPTY_PAGES} answers")

    def _meet(self, walk: _Walk, complaint: str, *words: str) -> None:
        mark = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()[:12]
        if mark in walk.met:
            raise self._gives_up(complaint)
        walk.met.add(mark)

    def _fetch(self, *, after: str = "", continuation: str = "") -> Page:
        return self._images.list_page(
            self.bucket, self.prefix, after=after, continuation=continuation, suffixes=self._suffixes
        )

    def _gives_up(self, complaint: str) -> StorageError:
        return StorageError(
            f"The listing of {f's3://{self.bucket}/{self.prefix}'!r} has no end: {self._images.server} {complaint}. It"
            " lists neither after a key (StartAfter) nor by continuation token. What was found is remembered. Upgrade"
            " that server, check the endpoint_url of the connection, or name the images with manifest= or keys=."
        )


def _only(page: Page, keys: frozenset[str], in_order: tuple[str, ...]) -> Page:
    """Give a page with some of its keys, and one image for each of those."""
    images = {image.key: image for image in reversed(page.images) if image.key in keys}
    return replace(page, keys=in_order, images=tuple(images[key] for key in in_order if key in images))


def _is_about_the_request(error: StorageError) -> bool:
    return not isinstance(error, StorageUnavailableError | StorageDeniedError) and error.http_status in (400, 405, 501)
