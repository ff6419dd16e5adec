"""S3 operations over HTTP: signed requests, streamed to and from files in the buckets' folders.

Requests whose signature's scope names the service ``s3`` are handled here; with access keys no others are. A path is
``/bucket/key``, or the bucket is the first label of the host.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qsl, unquote

from edge.api.http import bodies, listener, presigned, sigv4
from edge.api.http.replays import ReplayCache, Reply
from edge.api.s3 import documents, uploads
from edge.api.s3.errors import SIGNATURE_ERRORS, StorageError
from edge.api.s3.listings import MOST_KEYS, listing
from edge.api.s3.multipart import Uploads
from edge.api.s3.scope import SERVICE
from edge.core.errors import BusyError, ConflictError, InputError, NotFoundError
from edge.core.storage.buckets import Buckets, ObjectMetadata, StoredObject, is_key

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.api.http.signature_log import SignatureLog
    from edge.core.settings.services import ApiSettings

log = logging.getLogger(__name__)

CHANGING = frozenset({"PUT", "POST", "DELETE"})
UPLOADS_AT_ONCE = 8
EMPTY_FOLDER = '"d41d8cd98f00b204e9800998ecf8427e"'
"""ETag of an empty object"""
OWN = "x-amz-meta-"
"""prefix of user-defined metadata headers"""
KEPT_HEADERS = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language")
MOST_METADATA = 2048
"""maximum bytes of an object's metadata names and values"""
BLOCK = 256 << 10
"""bytes read at a time"""


@dataclass(frozen=True)
class ObjectCall:
    """A verified request."""

    request: Request
    head: sigv4.RequestHead
    bucket: str
    key: str
    query: Mapping[str, str]
    payload: str
    """payload digest of the signature, or its placeholder"""
    verified: sigv4.Verified | None
    """None where no access keys are configured"""

    @property
    def operation(self) -> tuple[str, str]:
        """Method and resource: the query parameter of a sub-resource, else bucket, object or service."""
        for word in SUB_RESOURCES:
            if word in self.query:
                return self.head.method, word
        return self.head.method, "object" if self.key else "bucket" if self.bucket else "service"


class ObjectEndpoint:
    """Turns an HTTP request into an HTTP response."""

    def __init__(
        self,
        settings: ApiSettings,
        state: Path,
        buckets: Buckets,
        names: frozenset[str],
        signatures: SignatureLog | None = None,
    ) -> None:
        self._settings, self._buckets, self._names = settings, buckets, names
        self._secrets = {key: secret.get_secret_value() for key, secret in settings.keys.items()}
        self._parts = Uploads(state, buckets)
        self._replays = ReplayCache(signatures)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def answer(self, request: Request) -> Response:
        request_id = uuid.uuid4().hex[:16].upper()
        try:
            response = await self._answered(request)
        except StorageError as error:
            response = _error(error, request, request_id)
        except sigv4.SignatureError as error:
            response = _error(StorageError(SIGNATURE_ERRORS[error.reason], error.message), request, request_id)
        except NotFoundError as error:
            response = _error(StorageError("NoSuchKey", error.message), request, request_id)
        except MemoryError as error:
            log.error("%s of an object failed: out of memory: %s", request.method, error)
            response = _error(StorageError("SlowDown", "The device is out of memory."), request, request_id)
        except OSError as error:
            log.warning("%s of an object failed: %s", request.method, error)
            response = _error(
                StorageError("InternalError", "The disk could not be read or written."), request, request_id
            )
        if response.status_code >= 400 and request.method in CHANGING:
            response.headers["connection"] = "close"  # an unread body would be parsed as the next request
        response.headers["x-amz-request-id"] = request_id
        return response

    async def _answered(self, request: Request) -> Response:
        call = self._verified(request)
        operate = OPERATIONS.get(call.operation)
        if operate is None:
            raise StorageError("NotImplemented", f"{call.head.method} of this resource is not supported.")
        if call.bucket and call.operation != ("PUT", "bucket") and not self._buckets.has(call.bucket):
            raise StorageError("NoSuchBucket", "The specified bucket does not exist")
        # a body that the signature does not cover may be changed
        if call.verified is None or call.head.method not in CHANGING or not sigv4.is_digest(call.payload):
            return await operate(self, call)
        return await self._once(call, call.verified, operate)

    async def _once(self, call: ObjectCall, verified: sigv4.Verified, operate: Operate) -> Response:
        """Run a changing request once per signature: a repeat gets the first response."""
        from starlette.responses import Response

        ran = False

        async def run() -> Reply:
            nonlocal ran
            ran = True
            done = await operate(self, call)
            return Reply(done.status_code, bytes(done.body), "", headers=tuple(done.headers.items()))

        signature, skew = f"{verified.key} {verified.signature}", self._settings.clock_skew
        reply = await self._replays.once(signature, time.time(), verified.signed_at, skew, run)
        if not ran:
            with suppress(InputError, BusyError):  # the client waits until its body was read
                await bodies.body(call.request, documents.MOST_BYTES)
        if reply is None:
            raise StorageError("AccessDenied", "This request was processed before; its response is not available.")
        return Response(reply.body, reply.status, dict(reply.headers))

    def _verified(self, request: Request) -> ObjectCall:
        path = request.scope.get("raw_path", b"/").decode("latin-1").split("?")[0]
        headers = sigv4.single(request.scope["headers"])
        head = sigv4.RequestHead(request.method, path, request.url.query, headers)
        payload = headers.get("x-amz-content-sha256", "")
        verified: sigv4.Verified | None = None
        if self._secrets and "authorization" not in headers:
            verified = self._presigned(request, head)
            payload = sigv4.UNSIGNED_PAYLOAD
        elif self._secrets:
            signature = sigv4.opened(head, self._secrets, time.time(), self._settings.clock_skew, (SERVICE,))
            if payload == sigv4.UNSIGNED_PAYLOAD and request.url.scheme != "https":
                raise StorageError("AccessDenied", "Without TLS the body must be signed.")
            known = (sigv4.UNSIGNED_PAYLOAD, sigv4.UNSIGNED_TRAILER)
            if not (sigv4.is_digest(payload) or payload in known):
                raise StorageError("NotImplemented", f"X-Amz-Content-Sha256 {payload[:64]} is not supported.")
            verified = signature.check(payload)
        elif {"origin", "sec-fetch-site", "x-forwarded-for", "forwarded"} & set(headers):
            raise StorageError("AccessDenied", "Requests of browsers and proxies are refused without api.keys.")
        bucket, key = self._place(headers.get("host", ""), path)
        query = dict(parse_qsl(head.query, keep_blank_values=True))
        return ObjectCall(request, head, bucket, key, query, payload, verified)

    def _presigned(self, request: Request, head: sigv4.RequestHead) -> sigv4.Verified:
        """Raises SignatureError, and StorageError for an upload whose body could be modified in transit."""
        verified = presigned.verified(head, self._secrets, time.time(), self._settings.clock_skew)
        local = request.client is not None and listener.is_loopback(request.client.host)
        if head.method not in ("GET", "HEAD") and request.url.scheme != "https" and not local:
            raise StorageError("AccessDenied", "A presigned upload needs TLS: its body is not signed.")
        return verified

    def _place(self, host: str, path: str) -> tuple[str, str]:
        """Bucket and key of a host and path."""
        rest = unquote(path.removeprefix("/"), errors="surrogateescape")
        first, _, name = host.rsplit(":", 1)[0].partition(".")
        if name in self._names:
            return first, rest
        bucket, _, key = rest.partition("/")
        return bucket, key

    async def list_buckets(self, _call: ObjectCall) -> Response:
        names = await asyncio.to_thread(self._buckets.names)
        listed = [{"Name": name, "CreationDate": documents.moment(0)} for name in names]
        return _xml("ListAllMyBucketsResult", {"Owner": {"ID": "edge"}, "Buckets": {"Bucket": listed}})

    async def create_bucket(self, call: ObjectCall) -> Response:
        await _document(call)
        try:
            await asyncio.to_thread(self._buckets.create, call.bucket)
        except ConflictError as error:
            raise StorageError("BucketAlreadyOwnedByYou", "You already own this bucket.") from error
        except InputError as error:
            code = "AccessDenied" if error.code == "no_root" else "InvalidBucketName"
            raise StorageError(code, f"{error.message}: {error.hint}") from error
        return _empty(200, Location=f"/{call.bucket}")

    async def head_bucket(self, _call: ObjectCall) -> Response:
        return _empty(200, **{"x-amz-bucket-region": self._settings.region})

    async def bucket_location(self, _call: ObjectCall) -> Response:
        return _xml("LocationConstraint", {})

    async def delete_bucket(self, call: ObjectCall) -> Response:
        try:
            await asyncio.to_thread(self._buckets.delete, call.bucket)
        except ConflictError as error:
            raise StorageError("BucketNotEmpty", error.message) from error
        return _empty(204)

    async def list_objects(self, call: ObjectCall) -> Response:
        return _xml(*await asyncio.to_thread(listing, self._buckets, call.bucket, call.query))

    async def versioning(self, _call: ObjectCall) -> Response:
        """Always off: an object has one version."""
        return _xml("VersioningConfiguration", {})

    async def get_object(self, call: ObjectCall) -> Response:
        from starlette.responses import StreamingResponse

        file = await asyncio.to_thread(self._buckets.open, call.bucket, call.key)
        try:
            found = await asyncio.to_thread(self._buckets.about, call.bucket, call.key)
            start, end = _range(call.head.headers.get("range", ""), found.size)
            headers = _headers(found, start, end)
            if (status := _unchanged(call.head.headers, found)) is not None:
                file.close()
                return _empty(status, ETag=found.etag)
        except BaseException:
            file.close()
            raise
        status = 200 if (start, end) == (0, found.size) else 206
        return StreamingResponse(_read(file, start, end), status, headers)

    async def head_object(self, call: ObjectCall) -> Response:
        found = await asyncio.to_thread(self._buckets.about, call.bucket, call.key)
        if (status := _unchanged(call.head.headers, found)) is not None:
            return _empty(status, ETag=found.etag)
        start, end = _range(call.head.headers.get("range", ""), found.size)
        return _empty(200 if (start, end) == (0, found.size) else 206, **_headers(found, start, end))

    async def put_object(self, call: ObjectCall) -> Response:
        if "x-amz-copy-source" in call.head.headers:
            return await self._copied(call)
        if call.key.endswith("/") and call.head.headers.get("content-length") == "0":
            _check_key(call.key[:-1])
            await asyncio.to_thread(self._buckets.make_folder, call.bucket, call.key)
            return _empty(200, ETag=EMPTY_FOLDER)
        _check_key(call.key)
        async with self._uploads:
            with _room_for(call), ExitStack() as stack:
                # the file is renamed once the whole body was verified
                file = stack.enter_context(self._buckets.writing(call.bucket, call.key, _metadata_of(call)))
                await uploads.received(call.request, call.head.headers, call.payload, file)
        found = await asyncio.to_thread(self._buckets.about, call.bucket, call.key)
        return _empty(200, ETag=found.etag)

    async def _copied(self, call: ObjectCall) -> Response:
        """CopyObject within the device; the request may replace the metadata."""
        await _document(call)
        _check_key(call.key)
        bucket, key = await self._source(call)
        replaced = call.head.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        if (bucket, key) == (call.bucket, call.key) and not replaced:
            raise StorageError("InvalidRequest", "This copy request is illegal: it changes nothing of the object.")
        metadata = _metadata_of(call) if replaced else None
        async with self._uploads:
            with _room_for(call):
                found = await asyncio.to_thread(_copy, self._buckets, (bucket, key), (call.bucket, call.key), metadata)
        return _xml("CopyObjectResult", {"ETag": found.etag, "LastModified": documents.moment(found.modified)})

    async def _source(self, call: ObjectCall) -> tuple[str, str]:
        """Bucket and key of the source of a copy, an existing object. Raises StorageError."""
        source = unquote(call.head.headers["x-amz-copy-source"].partition("?")[0]).removeprefix("/")
        bucket, _, key = source.partition("/")
        if not await asyncio.to_thread(self._buckets.has, bucket):
            raise StorageError("NoSuchBucket", "The specified bucket does not exist")
        try:
            await asyncio.to_thread(self._buckets.about, bucket, key)
        except NotFoundError as error:
            raise StorageError("NoSuchKey", error.message) from error
        return bucket, key

    async def delete_object(self, call: ObjectCall) -> Response:
        await asyncio.to_thread(self._buckets.remove, call.bucket, call.key)
        return _empty(204)

    async def delete_objects(self, call: ObjectCall) -> Response:
        data = await _document(call)
        keys, quiet = documents.texts(data, "Key"), "true" in documents.texts(data, "Quiet")
        for key in keys[:MOST_KEYS]:
            await asyncio.to_thread(self._buckets.remove, call.bucket, key)
        deleted = [] if quiet else [{"Key": key} for key in keys[:MOST_KEYS]]
        return _xml("DeleteResult", {"Deleted": deleted})

    async def begin_upload(self, call: ObjectCall) -> Response:
        _check_key(call.key)
        number = await asyncio.to_thread(self._parts.begin, call.bucket, call.key, _metadata_of(call))
        members = {"Bucket": call.bucket, "Key": call.key, "UploadId": number}
        return _xml("InitiateMultipartUploadResult", members)

    async def upload_part(self, call: ObjectCall) -> Response:
        upload = await asyncio.to_thread(self._parts.find, call.query["uploadId"], call.bucket, call.key)
        number = call.query.get("partNumber", "")
        if "x-amz-copy-source" in call.head.headers:
            await _document(call)
            source, asked = await self._source(call), call.head.headers.get("x-amz-copy-source-range", "")
            async with self._uploads:
                await asyncio.to_thread(_copy_part, self._buckets, source, asked, self._parts.part(upload, number))
            etag = await asyncio.to_thread(self._parts.keep, upload, number)
            return _xml("CopyPartResult", {"ETag": etag, "LastModified": documents.moment(time.time())})
        async with self._uploads:
            with self._parts.part(upload, number) as file:
                await uploads.received(call.request, call.head.headers, call.payload, file)
        return _empty(200, ETag=await asyncio.to_thread(self._parts.keep, upload, number))

    async def complete_upload(self, call: ObjectCall) -> Response:
        upload = await asyncio.to_thread(self._parts.find, call.query["uploadId"], call.bucket, call.key)
        numbers = documents.texts(await _document(call), "PartNumber")
        with _room_for(call):
            await asyncio.to_thread(self._parts.complete, upload, numbers)
        found = await asyncio.to_thread(self._buckets.about, call.bucket, call.key)
        members = {"Bucket": call.bucket, "Key": call.key, "ETag": found.etag}
        return _xml("CompleteMultipartUploadResult", members)

    async def list_parts(self, call: ObjectCall) -> Response:
        upload = await asyncio.to_thread(self._parts.find, call.query["uploadId"], call.bucket, call.key)
        found = [
            {"PartNumber": one.number, "LastModified": documents.moment(one.modified), "ETag": one.etag,
             "Size": one.size}
            for one in await asyncio.to_thread(self._parts.parts, upload)
        ]  # fmt: skip
        members = {"Bucket": call.bucket, "Key": call.key, "UploadId": call.query["uploadId"]}
        return _xml("ListPartsResult", {**members, "IsTruncated": False, "Part": found})

    async def list_uploads(self, call: ObjectCall) -> Response:
        found = [
            {"Key": key, "UploadId": number, "Initiated": documents.moment(began), "StorageClass": "STANDARD"}
            for number, key, began in await asyncio.to_thread(self._parts.of, call.bucket)
        ]
        return _xml("ListMultipartUploadsResult", {"Bucket": call.bucket, "IsTruncated": False, "Upload": found})

    async def abort_upload(self, call: ObjectCall) -> Response:
        upload = await asyncio.to_thread(self._parts.find, call.query["uploadId"], call.bucket, call.key)
        await asyncio.to_thread(self._parts.abort, upload)
        return _empty(204)


Operate = Callable[[ObjectEndpoint, ObjectCall], Awaitable["Response"]]
SUB_RESOURCES = (
    "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "inventory", "legal-hold",
    "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy",
    "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging",
    "torrent", "uploads", "versioning", "versions", "website", "uploadId", "partNumber",
)  # fmt: skip
"""query parameters that select another operation"""
OPERATIONS: dict[tuple[str, str], Operate] = {
    ("GET", "service"): ObjectEndpoint.list_buckets,
    ("PUT", "bucket"): ObjectEndpoint.create_bucket,
    ("HEAD", "bucket"): ObjectEndpoint.head_bucket,
    ("GET", "location"): ObjectEndpoint.bucket_location,
    ("DELETE", "bucket"): ObjectEndpoint.delete_bucket,
    ("GET", "bucket"): ObjectEndpoint.list_objects,
    ("GET", "versions"): ObjectEndpoint.list_objects,
    ("GET", "versioning"): ObjectEndpoint.versioning,
    ("GET", "uploads"): ObjectEndpoint.list_uploads,
    ("GET", "uploadId"): ObjectEndpoint.list_parts,
    ("GET", "object"): ObjectEndpoint.get_object,
    ("HEAD", "object"): ObjectEndpoint.head_object,
    ("PUT", "object"): ObjectEndpoint.put_object,
    ("DELETE", "object"): ObjectEndpoint.delete_object,
    ("POST", "delete"): ObjectEndpoint.delete_objects,
    ("POST", "uploads"): ObjectEndpoint.begin_upload,
    ("PUT", "uploadId"): ObjectEndpoint.upload_part,
    ("POST", "uploadId"): ObjectEndpoint.complete_upload,
    ("DELETE", "uploadId"): ObjectEndpoint.abort_upload,
}


def _metadata_of(call: ObjectCall) -> ObjectMetadata:
    """Metadata from a request's headers. Raises StorageError."""
    given = call.head.headers
    headers = {name: given[name] for name in KEPT_HEADERS if name in given}
    codings = [one.strip() for one in headers.pop("content-encoding", "").split(",")]
    if coding := ",".join(one for one in codings if one not in ("", "aws-chunked")):
        headers["content-encoding"] = coding
    own = {name.removeprefix(OWN): value for name, value in given.items() if name.startswith(OWN)}
    if sum(len(name) + len(value) for name, value in (*headers.items(), *own.items())) > MOST_METADATA:
        raise StorageError("MetadataTooLarge", f"Your metadata headers exceed {MOST_METADATA} bytes.")
    return ObjectMetadata(headers, own)


def _copy(
    buckets: Buckets, source: tuple[str, str], target: tuple[str, str], metadata: ObjectMetadata | None
) -> StoredObject:
    """Copy an object with its metadata, or with new metadata. Raises NotFoundError, StorageError, OSError."""
    kept = buckets.about(*source).metadata if metadata is None else metadata
    with buckets.open(*source) as old, buckets.writing(*target, kept) as new:
        while block := old.read(uploads.BLOCK):
            uploads.check_space(new)
            new.write(block)
    return buckets.about(*target)


def _copy_part(buckets: Buckets, source: tuple[str, str], asked: str, part: BinaryIO) -> None:
    """Copy a range of an object to a part and close it. Raises NotFoundError, StorageError, OSError."""
    with part, buckets.open(*source) as old:
        start, end = _range(asked, buckets.about(*source).size)
        old.seek(start)
        while start < end and (block := old.read(min(uploads.BLOCK, end - start))):
            uploads.check_space(part)
            part.write(block)
            start += len(block)


@contextmanager
def _room_for(call: ObjectCall) -> Iterator[None]:
    """Check that the key is valid as a file: no object among its parents, and not a folder. Raises StorageError."""
    try:
        yield
    except NotFoundError as error:
        message = f"{call.key[:200]}: a part of it is an object here, or it is a folder: objects are files."
        raise StorageError("InvalidRequest", message) from error


def _check_key(key: str) -> None:
    if not is_key(key):
        raise StorageError("InvalidArgument", "A key is a file path: '..' and empty parts are not allowed.")


def _range(text: str, size: int) -> tuple[int, int]:
    """First byte, and the one after the last. Raises StorageError for an invalid range."""
    if not text.startswith("bytes=") or "," in text:
        return 0, size
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not all(part == "" or (part.isascii() and part.isdigit() and len(part) < 19) for part in (first, last)):
        return 0, size
    if first == "":
        start, end = max(0, size - int(last or 0)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    if start >= end:
        raise StorageError("InvalidRange", "The requested range is not satisfiable")
    return start, end


def _unchanged(headers: Mapping[str, str], found: StoredObject) -> int | None:
    """The HTTP status where a condition of the request does not hold; otherwise None."""
    if headers.get("if-none-match") in (found.etag, "*"):
        return 304
    return 412 if headers.get("if-match", found.etag) not in (found.etag, "*") else None


def _headers(found: StoredObject, start: int, end: int) -> dict[str, str]:
    kind = mimetypes.guess_type(found.key, strict=False)[0] or "binary/octet-stream"
    kept = found.metadata
    ranged = {"Content-Range": f"bytes {start}-{end - 1}/{found.size}"} if (start, end) != (0, found.size) else {}
    return {
        "Content-Length": str(end - start),
        "content-type": kind,
        "ETag": found.etag,
        "Last-Modified": formatdate(found.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        **kept.headers,
        **{f"{OWN}{name}": value for name, value in kept.own.items()},
        **ranged,
    }


async def _read(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(file.seek, start)
        left = end - start
        while left > 0 and (block := await asyncio.to_thread(file.read, min(BLOCK, left))):
            left -= len(block)
            yield block
    finally:
        file.close()


async def _document(call: ObjectCall) -> bytes:
    """The verified body of a request with an XML document. Raises StorageError."""
    try:
        data = await bodies.body(call.request, documents.MOST_BYTES, "document")
    except (InputError, BusyError) as error:
        raise StorageError("MalformedXML", error.message) from error
    if sigv4.is_digest(call.payload) and hashlib.sha256(data).hexdigest() != call.payload:
        raise StorageError("XAmzContentSHA256Mismatch", "The body does not match the signed digest.")
    return data


def _xml(name: str, members: Mapping[str, Any]) -> Response:
    from starlette.responses import Response

    return Response(documents.document(name, members), media_type="application/xml")


def _empty(status: int, **headers: str) -> Response:
    from starlette.responses import Response

    return Response(status_code=status, headers=headers)


def _error(error: StorageError, request: Request, request_id: str) -> Response:
    from starlette.responses import Response

    if request.method == "HEAD":
        return Response(status_code=error.status)
    members = {"Code": error.code, "Message": error.message, "Resource": request.url.path, "RequestId": request_id}
    return Response(documents.document("Error", members, ""), error.status, media_type="application/xml")
