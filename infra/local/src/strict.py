"""ministack with the rules of the AWS API reference where it is laxer, so that code proved here is not surprised there.

Reads the root key from the file named in REKEY_AWS_ADMIN_FILE (never argv or the environment, which other processes can
see), then serves on GATEWAY_PORT. Each rule below quotes or names the page it comes from; `aws.int.test.ts` has a test
for each, driven through AWS's own SDK.
"""

import configparser
import functools
import json
import os
import re
import socket
import threading
import time
import urllib.request
from urllib.parse import parse_qs

_admin = configparser.ConfigParser()
_admin.read(os.environ["REKEY_AWS_ADMIN_FILE"])
os.environ["AWS_ACCESS_KEY_ID"] = _admin["default"]["aws_access_key_id"]
os.environ["AWS_SECRET_ACCESS_KEY"] = _admin["default"]["aws_secret_access_key"]
os.environ["AUTH"] = "true"
os.environ.setdefault("BIND_HOST", "127.0.0.1")  # ministack alone would listen on every interface

from ministack.core import iam_actions, iam_evaluator  # noqa: E402  (ministack reads the environment when it is imported)

# Before the services bind the name: ministack lets in the key "test", any 12-digit key id and no key at all as root.
iam_evaluator.is_root_access_key = lambda key: key == os.environ["AWS_ACCESS_KEY_ID"]

from ministack import app  # noqa: E402
from ministack.core.responses import (  # noqa: E402
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    new_uuid,
    request_scope,
)
from ministack.services import iam, secretsmanager as sm, sts  # noqa: E402

_lock = threading.RLock()

# Kept before anything is replaced, so that a rule can fall back to what ministack does.
_raw = {
    name: getattr(sm, name)
    for name in ("_create_secret", "_get_secret_value", "_update_secret", "_rotate_secret", "_list_secret_version_ids",
                 "_update_secret_version_stage", "_put_secret_value")
}


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.reply = error_response_json(code, message, 400)


def rule(name):
    """Replaces sm.NAME; one rule at a time sees and changes the secrets."""

    def replace(handler):
        @functools.wraps(handler)
        def locked(data):
            with _lock:
                try:
                    return handler(data, _raw[name])
                except Refusal as refusal:
                    return refusal.reply

        setattr(sm, name, locked)
        return locked

    return replace


def _value_of(data, required=True):
    text, binary = data.get("SecretString"), data.get("SecretBinary")
    if text is not None and binary is not None:
        raise Refusal("InvalidParameterException", "You can't specify both a binary secret value and a string secret value.")
    if text is None and binary is None and required:
        raise Refusal("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
    if text is not None and len(text.encode()) > 65536 or binary is not None and len(binary) > 4 * 65536 // 3 + 4:
        raise Refusal("InvalidParameterException", "The secret value is longer than 65536 bytes.")
    return {"SecretString": text, "SecretBinary": binary}


def _token_of(data):
    """ClientRequestToken: "this value becomes the VersionId of the new version"; 32 to 64 characters."""
    token = data.get("ClientRequestToken") or new_uuid()
    if not 32 <= len(token) <= 64:
        raise Refusal("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
    return token


def _same(version, value):
    return all(version.get(field) == value[field] for field in value)


def _is_empty(version):
    """RotateSecret makes a version without a value, which createSecret of the function fills."""
    return version.get("SecretString") is None and version.get("SecretBinary") is None


def _settled(secret, token, value):
    """True if the version is there with this value ("the request is ignored"); a refusal if it has another."""
    version = secret["Versions"].get(token)
    if version is None or _is_empty(version):
        return False
    if _same(version, value):
        return True
    raise Refusal(
        "ResourceExistsException",
        "You can't use ClientRequestToken " + token + " because that value is already in use for a version of secret "
        + secret["ARN"] + ".",
    )


def _add_version(secret, token, value, stages):
    if len(secret["Versions"]) >= 100 and token not in secret["Versions"]:
        # Versions younger than 24 hours are not removed to make room, and none here is older.
        raise Refusal("LimitExceededException", "You have reached the maximum number of versions for this secret.")
    first = not secret["Versions"]
    stages = [*secret["Versions"].get(token, {}).get("Stages", []), *stages]
    secret["Versions"][token] = {**value, "CreatedDate": time.time(), "Stages": []}
    # "If this operation creates the first version for the secret then Secrets Manager automatically attaches AWSCURRENT".
    for stage in [*stages, *(["AWSCURRENT"] if first and "AWSCURRENT" not in stages else [])]:
        _move(secret, stage, token)
    secret["LastChangedDate"] = int(time.time())
    sm._sync_replicas(secret)


_sync_replicas = sm._sync_replicas


def _held_sync_replicas(secret):
    """ "Status: InProgress": AWS copies in its own time. A secret with the tag rekey-emulator:replicas = held is copied
    when it loses the tag, so that a test says when. """
    held = any(tag == {"Key": "rekey-emulator:replicas", "Value": "held"} for tag in secret.get("Tags", []))
    for status in secret.get("ReplicationStatus", []):
        status["Status"] = "InProgress" if held else "InSync"
    if not held:
        _sync_replicas(secret)


sm._sync_replicas = _held_sync_replicas


def _move(secret, stage, token):
    """A label is on one version at a time; when AWSCURRENT moves, AWSPREVIOUS goes to the version that it left."""
    left, _ = sm._find_stage_version(secret, stage)
    sm._remove_stage_everywhere(secret, stage, except_version_id=token)
    sm._add_stage(secret, token, stage)
    if stage == "AWSCURRENT" and left and left != token:
        _move(secret, "AWSPREVIOUS", left)
    if stage not in ("AWSPENDING", "AWSPREVIOUS"):
        sm._emit_secret_label_updated(secret, stage, token)


def _writable(data):
    """The secret, or None where ministack's own handler has the right refusal (absent, deleted, a replica)."""
    _, secret = sm._resolve(data.get("SecretId"))
    return None if not secret or secret.get("DeletedDate") or sm._is_replica(secret) else secret


@rule("_create_secret")
def _create_secret(data, raw):
    value, token = _value_of(data, required=False), _token_of(data)
    existing = sm._secrets.get(data.get("Name"))
    if existing and not existing.get("DeletedDate") and _settled(existing, token, value):
        return json_response({"ARN": existing["ARN"], "Name": existing["Name"], "VersionId": token})
    if len(data.get("Name") or "") > 512:
        raise Refusal("InvalidParameterException", "Name must have length less than or equal to 512.")
    status, headers, body = raw(data)
    if status != 200:
        return status, headers, body
    secret = sm._secrets[data["Name"]]
    secret["Versions"] = {}
    reply = {"ARN": secret["ARN"], "Name": secret["Name"]}
    if value["SecretString"] is not None or value["SecretBinary"] is not None:
        _add_version(secret, token, value, ["AWSCURRENT"])
        reply["VersionId"] = token
    # "AddReplicaRegions: A list of Regions and KMS keys to replicate secrets." ministack leaves it out.
    if data.get("AddReplicaRegions"):
        status, headers, body = sm._replicate_secret_to_regions({**data, "SecretId": data["Name"]})
        if status != 200:
            del sm._secrets[data["Name"]]
            return status, headers, body
        reply["ReplicationStatus"] = secret["ReplicationStatus"]
    return json_response(reply)


@rule("_put_secret_value")
def _put_secret_value(data, raw):
    secret = _writable(data)
    if secret is None:
        return raw(data)
    value, token = _value_of(data), _token_of(data)
    if not _settled(secret, token, value):
        _add_version(secret, token, value, data.get("VersionStages") or ["AWSCURRENT"])
    stages = list(secret["Versions"][token]["Stages"])
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token, "VersionStages": stages})


@rule("_update_secret")
def _update_secret(data, raw):
    secret = _writable(data)
    if secret is None or not {"SecretString", "SecretBinary"} & data.keys():
        return raw(data)
    value, token = _value_of(data), _token_of(data)
    settled = _settled(secret, token, value)
    if not settled:
        _add_version(secret, token, value, ["AWSCURRENT"])
    raw({key: data[key] for key in ("SecretId", "Description", "KmsKeyId") if key in data})
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token})


@rule("_get_secret_value")
def _get_secret_value(data, raw):
    """ "If you use both, they must refer to the same secret version." """
    _, secret = sm._resolve(data.get("SecretId"))
    version = secret and not secret.get("DeletedDate") and secret["Versions"].get(data.get("VersionId"))
    if version and data.get("VersionStage") and data["VersionStage"] not in version["Stages"]:
        raise Refusal(
            "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
    if secret and not version:
        version = sm._find_stage_version(secret, data.get("VersionStage") or "AWSCURRENT")[1]
    if version and _is_empty(version):
        raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
    return raw(data)


@rule("_update_secret_version_stage")
def _update_secret_version_stage(data, raw):
    if data.get("VersionStage") == "AWSCURRENT" and data.get("RemoveFromVersionId") and not data.get("MoveToVersionId"):
        raise Refusal(
            "InvalidParameterException",
            "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
        )
    return raw(data)


@rule("_list_secret_version_ids")
def _list_secret_version_ids(data, raw):
    """Versions without a label are deprecated, and listed only with IncludeDeprecated."""
    _, secret = sm._resolve(data.get("SecretId"))
    if not secret or data.get("IncludeDeprecated"):
        return raw(data)
    everything = secret["Versions"]
    try:
        secret["Versions"] = {token: version for token, version in everything.items() if version["Stages"]}
        return raw(data)
    finally:
        secret["Versions"] = everything


# ---- Rotation functions ----------------------------------------------------------------------------------------------

_STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_FUNCTION = re.compile(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:rekey-local-(\d+)")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_CANNOT_INVOKE = ("Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access "
                  "to the principal secretsmanager.amazonaws.com.")


def _function_of(arn):
    """A function of the name rekey-local-PORT is served at that port of this host, by the protocol of Lambda's runtime
    interface emulator. """
    found = _FUNCTION.fullmatch(arn or "")
    if not found:
        raise Refusal("AccessDeniedException", _CANNOT_INVOKE)
    try:
        socket.create_connection(("127.0.0.1", int(found[1])), 1).close()
    except OSError:
        raise Refusal("AccessDeniedException", _CANNOT_INVOKE) from None
    return f"http://127.0.0.1:{found[1]}/2015-03-31/functions/function/invocations"


def _invoke(url, event):
    """Whether the function did the step. What it says of a failure stays in its own log, as at AWS."""
    request = urllib.request.Request(url, json.dumps(event).encode(), {"content-type": "application/json"})
    try:
        with _direct.open(request, timeout=900) as reply:  # Lambda's longest
            return "x-amz-function-error" not in reply.headers
    except OSError:
        return False


def _run_function(url, secret, token):
    """ "Secrets Manager invokes the function with the steps createSecret, setSecret, testSecret, finishSecret"; it stops at
    the first that fails, and leaves AWSPENDING where it is. """
    for step in _STEPS:
        if not _invoke(url, {"SecretId": secret["ARN"], "ClientRequestToken": token, "Step": step}):
            return
    with _lock:
        secret["LastRotatedDate"] = secret["LastChangedDate"] = time.time()


def _start_function(*args):
    threading.Thread(target=_run_function, args=args, daemon=True).start()


@rule("_rotate_secret")
def _rotate_secret(data, raw):
    """ "If AWSPENDING is present but not attached to the same version as AWSCURRENT, then any later invocation of
    RotateSecret assumes that a previous rotation request is still in progress and returns an error." """
    secret = _writable(data)
    if secret is None:
        return raw(data)
    token = _token_of(data)
    reply = {"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token}
    arn = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not arn:
        raise Refusal("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    pending, _ = sm._find_stage_version(secret, "AWSPENDING")
    current, _ = sm._find_stage_version(secret, "AWSCURRENT")
    if pending and pending != current:
        if _FUNCTION.fullmatch(arn):
            _start_function(_function_of(arn), secret, pending)
        raise Refusal(
            "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
    url = _function_of(arn) if data.get("RotateImmediately", True) else None
    rules = data.get("RotationRules")
    secret.update({"RotationLambdaARN": arn, "RotationEnabled": True})
    if rules:
        # "AutomaticallyAfterDays: In DescribeSecret, this value is calculated from the rotation schedule".
        every = re.fullmatch(r"rate\((\d+) days?\)", rules.get("ScheduleExpression", ""))
        secret["RotationRules"] = {**rules, **({"AutomaticallyAfterDays": int(every[1])} if every else {})}
    # "to prevent the accidental creation of duplicate versions if there are failures and retries during a rotation".
    if url and token not in secret["Versions"]:
        _add_version(secret, token, {"SecretString": None, "SecretBinary": None}, ["AWSPENDING"])
        _start_function(url, secret, token)
    return json_response(reply)


@functools.wraps(sm._describe_secret)
def _described(data, raw=sm._describe_secret):
    status, headers, body = raw(data)
    _, secret = sm._resolve(data.get("SecretId"))
    if status != 200 or not secret:
        return status, headers, body
    kept = {field: secret[field] for field in ("LastRotatedDate", "OwningService") if field in secret}
    return json_response({**json.loads(body), **kept})


sm._describe_secret = _described

def _cancel_rotate_secret(data):
    """ "Turns off automatic rotation": the function and the schedule stay, and a version that is pending may, too."""
    with _lock:
        secret = _writable(data)
        if secret is None:
            return _described(data)
        secret["RotationEnabled"] = False
        return json_response({"ARN": secret["ARN"], "Name": secret["Name"]})


# ---- The quota of writes, where REKEY_STACK_AWS_QUOTA gives one ------------------------------------------------------

_WRITES = {"PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "ReplicateSecretToRegions",
           "RemoveRegionsFromReplication", "StopReplicationToReplica"}
_quota = float(os.environ.get("REKEY_STACK_AWS_QUOTA") or 0)
_buckets = {}
_handle_request = sm.handle_request


def _is_throttled(action):
    """ "Combined rate of PutSecretValue, ... and UpdateSecretVersionStage API requests. Each supported Region: 50 per
    second", as a bucket for each account ("the account of the identity that makes the requests") and region. """
    if not _quota or action not in _WRITES:
        return False
    with _lock:
        key, now = (get_account_id(), get_region()), time.monotonic()
        tokens, at = _buckets.get(key, (_quota, now))
        tokens = min(_quota, tokens + (now - at) * _quota)
        _buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens < 1


async def _strict_handle_request(method, path, headers, body, query_params):
    if _is_throttled(headers.get("x-amz-target", "").rsplit(".", 1)[-1]):
        return error_response_json("ThrottlingException", "Rate exceeded", 400)
    if headers.get("x-amz-target", "").endswith(".CancelRotateSecret"):
        return _cancel_rotate_secret(json.loads(body))
    return await _handle_request(method, path, headers, body, query_params)


sm.handle_request = _strict_handle_request

# ---- Other accounts --------------------------------------------------------------------------------------------------

_sts_handle_request = sts.handle_request
_MEMBER_ROLE = "OrganizationAccountAccessRole"


def _open_account(role_arn):
    """ "AWS Organizations automatically creates an IAM role in the member account, named OrganizationAccountAccessRole",
    which the management account may assume. Here every account is a member as soon as somebody asks for that role. """
    asked = re.fullmatch(r"arn:aws:iam::(\d{12}):role/" + _MEMBER_ROLE, role_arn)
    if not asked or asked[1] == get_account_id():
        return
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"AWS": f"arn:aws:iam::{get_account_id()}:root"}}
    rights = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17"}
    with request_scope(asked[1], get_region()):
        if _MEMBER_ROLE in iam._roles:
            return
        iam._create_role({
            "RoleName": [_MEMBER_ROLE],
            "AssumeRolePolicyDocument": [json.dumps({**document, "Statement": [trust]})],
        })
        iam._put_role_policy({
            "RoleName": [_MEMBER_ROLE],
            "PolicyName": ["AdministratorAccess"],
            "PolicyDocument": [json.dumps({**document, "Statement": [rights]})],
        })


async def _strict_sts_handle_request(method, path, headers, body, query_params):
    asked = parse_qs(body.decode("utf-8", errors="replace")) if body else {}
    if asked.get("Action") == ["AssumeRole"]:
        _open_account(asked.get("RoleArn", [""])[0])
    return await _sts_handle_request(method, path, headers, body, query_params)


sts.handle_request = _strict_sts_handle_request

# ---- IAM access keys ------------------------------------------------------------------------------------------------

_last_used = {}
_scope = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")


def _authenticate(access_key_id, account_id, raw=iam_evaluator.authenticate):
    request = iam_evaluator._signed_request.get()  # ministack drops it once the signature is checked
    checked = raw(access_key_id, account_id)
    scope = request and _scope.search(request.headers.get("authorization", ""))
    if scope and isinstance(checked, iam_evaluator.ResolvedCredential):
        _last_used[access_key_id] = (time.time(), *scope.groups())
    return checked


iam_evaluator.authenticate = _authenticate

_resource_of = iam_actions.extract_resource_arn


@functools.wraps(_resource_of)
def _strict_resource_of(service, *args):
    """ "arn:aws:iam::account:user/user-name-with-path": a policy may name the path that the request does not carry. """
    arn = _resource_of(service, *args)
    user = iam._users.get(arn.rsplit(":user/", 1)[-1]) if service == "iam" and ":user/" in arn else None
    return user["Arn"] if user else arn


iam_actions.extract_resource_arn = _strict_resource_of

_create_access_key = iam._IAM_HANDLERS["CreateAccessKey"]
_get_access_key_last_used = iam._IAM_HANDLERS["GetAccessKeyLastUsed"]


def _strict_create_access_key(params):
    """AccessKeysPerUser: 2, and not adjustable."""
    with _lock:
        user = iam._p(params, "UserName") or "default"
        if sum(key["UserName"] == user for key in iam._access_keys.values()) >= 2:
            return iam._error(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", ns="iam")
        return _create_access_key(params)


def _strict_get_access_key_last_used(params):
    status, headers, body = _get_access_key_last_used(params)
    used = _last_used.get(iam._p(params, "AccessKeyId"))
    if status != 200 or used is None:
        return status, headers, body
    at, region, service = used
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    filled = body.replace(
        b"<Region>N/A</Region><ServiceName>N/A</ServiceName>",
        f"<LastUsedDate>{date}</LastUsedDate><Region>{region}</Region><ServiceName>{service}</ServiceName>".encode(),
    )
    return status, headers, filled


iam._IAM_HANDLERS["CreateAccessKey"] = _strict_create_access_key
iam._IAM_HANDLERS["GetAccessKeyLastUsed"] = _strict_get_access_key_last_used

if __name__ == "__main__":
    app.main()
