"""Publish a corpus as a dataset of the Hugging Face Hub: one commit for all files, then a tag with the version.

A dataset holds one corpus; a higher version is a further commit, and the tags keep the versions before it. The token
comes from where the Hub's own client finds it (`$HF_TOKEN`, or `hf auth login`), and `$HF_ENDPOINT` names another
Hub.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tppc import __version__
from tppc.corpora.addresses import public_address, told
from tppc.corpora.manifest import NAME, SEAL, parse_manifest
from tppc.corpora.stores import ObjectStore
from tppc.errors import TppcError, UsageError
from tppc.manifests.release import Release
from tppc.manifests.versions import check_successor, least_change

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ADDRESS = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)/?", re.ASCII)
_OWN = ".gitattributes"  # the Hub's own file in every repository


@dataclass(frozen=True)
class Commit:
    """Where the corpus is, and the bytes of its manifest there; `new`: whether it had to be committed."""

    address: str
    manifest: bytes
    new: bool


def repository_of(address: str) -> str:
    """`USER/NAME` of `hf://datasets/USER/NAME`. Raises `UsageError` for anything else."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise UsageError(f"{public_address(address)}: write hf://datasets/USER/NAME; the token comes from $HF_TOKEN")
    return found.group(1)


def publish_to_hub(
    release: Release, address: str, *, private: bool, check: bool, read_back: Callable[[ObjectStore], None]
) -> Commit:
    """Commit a release to the dataset at `address`, which is made if there is none.

    Args:
        private: whether a new dataset is seen by its owner alone. check: fetch everything again and compare digests, by
        `read_back`; without it sizes and the digests that the Hub reports are compared.

    Raises `TppcError` where the version is taken by another corpus, may not follow the newest one, or the Hub refuses.
    """
    repository = repository_of(address)
    place = f"hf://datasets/{repository}"
    with told(place, "be published to"):
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError

        api = HfApi(library_name="tppc", library_version=__version__)
        try:
            head = api.dataset_info(repository)
        except RepositoryNotFoundError:
            api.create_repo(repository, repo_type="dataset", private=private or None, exist_ok=True)
            head = api.dataset_info(repository)
        have = sorted(s.rfilename for s in head.siblings or [])
        tags = {t.name: t.target_commit for t in api.list_repo_refs(repository, repo_type="dataset").tags}
        tag = release.manifest.version
        before = ObjectStore(f"{place}@{head.sha}").read(NAME) if NAME in have else None
        if before is not None and _stands(release, before, place):
            if tag not in tags:  # the publish before was killed between the commit and its tag
                api.create_tag(repository, tag=tag, revision=head.sha, repo_type="dataset")
            return Commit(place, before, new=False)
        if tag in tags:
            raise TppcError(f"{place}: has a tag {tag} already; a published version never changes: raise --version")
        commit = _commit(api, repository, release, have, str(head.sha))
        _check_sizes(api, repository, release, commit)
        if check:
            read_back(ObjectStore(f"{place}@{commit}"))
        api.create_tag(repository, tag=tag, revision=commit, repo_type="dataset")
    return Commit(place, release.data, new=True)


def _stands(release: Release, data: bytes, where: str) -> bool:
    """Whether the dataset holds this very version. Raises `TppcError` where the release may not follow its own."""
    before, mine = parse_manifest(data, f"{where}/{NAME}"), release.manifest
    if before.name != mine.name:
        raise TppcError(f"{where}: holds the corpus {before.name}, this one is {mine.name}; choose another --to")
    if before.version == mine.version:
        if before.build_digest == mine.build_digest:
            return True
        raise TppcError(
            f"{where}: {mine.name}@{mine.version} is published already with the build digest {before.build_digest}, "
            f"and this corpus has {mine.build_digest}; a published version never changes: raise it with --version"
        )
    check_successor(f"{where}: {mine.name}", before.version, mine.version, least_change(before, mine))
    return False


def _commit(api: HfApi, repository: str, release: Release, have: list[str], parent: str) -> str:
    """One commit that makes the dataset hold the release's files and no others; returns its id."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    manifest = release.manifest
    sources: dict[str, Any] = {**release.files, SEAL: release.seal, NAME: release.data}
    operations: list[Any] = [CommitOperationAdd(name, source) for name, source in sources.items()]
    operations += [CommitOperationDelete(name) for name in have if name not in sources and name != _OWN]
    done = api.create_commit(
        repository,
        operations,
        commit_message=f"{manifest.name} {manifest.version}",
        commit_description=f"Build digest {manifest.build_digest}",
        repo_type="dataset",
        parent_commit=parent,  # of two publishers at once, the second is refused
    )
    return str(done.oid)


def _check_sizes(api: HfApi, repository: str, release: Release, commit: str) -> None:
    """Compare what the Hub says about every file with the release: its size, and its SHA-256 where it is told."""
    names = list(release.files)
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        found = {f.path: f for f in api.get_paths_info(repository, some, revision=commit, repo_type="dataset")}
        for name in some:
            there: Any = found.get(name)
            lfs = getattr(there, "lfs", None)
            if (
                there is None
                or there.size != release.size(name)
                or (lfs and lfs.sha256 != release.manifest.files[name])
            ):
                raise TppcError(
                    f"{repository}/{name}: the Hub has another file than was sent; publish under a higher --version"
                )
