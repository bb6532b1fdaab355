"""Failures of the engine as types, so that callers can distinguish them and give advice."""

from __future__ import annotations

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, PlatformError, UsageError
from algo_core.storage.contract import IsADirectory, NotADirectory
from algo_core.storage.uri import DataUri


class Failure(AlgoError):
    """A failure for which a caller can give advice; it carries the necessary data."""


class SourceIsFile(Failure, NotADirectory):
    """A directory was to be synchronized, and the source is a file."""

    def __init__(self, source: object) -> None:
        super().__init__(f"{source} is a file")


class SourceIsDirectory(Failure, IsADirectory):
    """A file was to be copied, and the source is a directory."""

    def __init__(self, uri: DataUri) -> None:
        super().__init__(f"{uri} is a directory")
        self.uri = uri


class SourceIsLink(Failure):
    """A link to a directory was to be moved; its target is not moved."""

    def __init__(self, uri: DataUri) -> None:
        super().__init__(f"{uri} is a link to a directory: the directory behind it is not moved")


class DirectoryLoop(Failure):
    """A link leads to a directory above it, so that the tree is infinite."""

    def __init__(self, what: object) -> None:
        super().__init__(f"{what} leads back to a directory above it")


class InputHasNoName(Failure, UsageError):
    """Standard input was to be copied into a directory."""

    def __init__(self, directory: DataUri) -> None:
        super().__init__("Standard input has no name")
        self.directory = directory


class InputHasNoTime(Failure, UsageError):
    """Standard input was to be copied only if it is newer."""

    def __init__(self) -> None:
        super().__init__("Standard input has no modification time to compare")


class SeveralToOutput(Failure, UsageError):
    """Several files were to be copied to standard output."""

    def __init__(self) -> None:
        super().__init__("Only one file can be copied to standard output")


class HoldsNoFiles(Failure, NotFoundError):
    """A file was to be put into a directory that holds only directories, such as an account."""

    def __init__(self, directory: object) -> None:
        super().__init__(f"{directory} holds no files")


class MissingDirectory(Failure, NotFoundError):
    """The directory for a file does not exist; `can_exist` says whether it can be made."""

    def __init__(self, uri: DataUri, *, can_exist: bool) -> None:
        super().__init__(f"Directory {uri} does not exist")
        self.uri = uri
        self.can_exist = can_exist


class NoFolders(Failure, UsageError):
    """A tree was to be copied to a place without subdirectories (API section 4.2).

    `into` is a collection that could hold the files; it must be made first if it `may_be_missing`.
    """

    def __init__(self, what: str, source: object, into: DataUri, *, may_be_missing: bool = False) -> None:
        super().__init__(f"{what}: hosted collections hold files only")
        self.source = source
        self.into = into
        self.may_be_missing = may_be_missing


class InTheWay(Failure):
    """A directory is in place of a file (`of_directory` is false), or a file in place of a directory."""

    def __init__(self, source: object, target: object, uri: DataUri, *, of_directory: bool) -> None:
        kinds = ("file", "directory") if of_directory else ("directory", "file")
        super().__init__(f"{target} is a {kinds[0]}, and {source} a {kinds[1]}")
        self.uri = uri
        self.of_directory = of_directory


class StaysInTheWay(Failure):
    """A conflict that may not be removed, because the selection excludes a part of it."""

    def __init__(self, obstacle: object, uri: DataUri, excluded: DataUri, *, of_directory: bool) -> None:
        super().__init__(f"{obstacle} is in the way and is kept, because --include or --exclude excludes {excluded}")
        self.uri = uri
        self.of_directory = of_directory


class NoSuchName(Failure):
    """An object key cannot be a path at the destination."""

    def __init__(self, directory: object, path: str) -> None:
        super().__init__(f"no file below {directory} can have the path {path!r}")


class Kept(Failure, AlreadyExists):
    """Another program has written a file that is not to be replaced."""

    def __init__(self, target: object) -> None:
        super().__init__(f"{target} exists already")


class Corrupted(PlatformError):
    """The content does not match the storage's checksum."""


class StoredDamaged(Failure, Corrupted):
    """The stored content differs from the sent content; `is_removed` says whether it was removed."""

    def __init__(self, target: object, algorithm: str, sent: str, stored: str, *, is_removed: bool) -> None:
        end = "; the copy was removed" if is_removed else ", and may still exist"
        super().__init__(
            f"{target} was damaged in transfer: the {algorithm.upper()} of the sent data is {sent}, "
            f"that of the stored file {stored}{end}"
        )
        self.target = target
        self.is_removed = is_removed
