"""The name of every endpoint of the SDK, by the request that it makes; new ones are named by what is known of the path.

What a path holds in the place of an id is never part of a name.
"""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

# A method of a resource -> its request, below the resource's own path.
_USUAL = {
    "create": "POST:",
    "list": "GET:",
    "retrieve": "GET:/{}",
    "update": "POST:/{}",
    "delete": "DELETE:/{}",
    "cancel": "POST:/{}/cancel",
    "content": "GET:/{}/content",
}

# Resource, its path (``+``: that of the resource above it), its methods: the usual ones by name, the others with their
# request. From openai 1.66 to 3.52.
_RESOURCES = """
admin.organization.admin_api_keys /organization/admin_api_keys create delete list retrieve
admin.organization.audit_logs /organization/audit_logs list
admin.organization.certificates /organization/certificates create delete list retrieve update activate=POST:/activate
admin.organization.certificates /organization/certificates deactivate=POST:/deactivate
admin.organization.data_retention /organization/data_retention retrieve=GET: update=POST:
admin.organization.external_keys /organization/external_keys create delete list retrieve validate=POST:/{}/validate
admin.organization.external_storage /organization/external_storage create delete list retrieve
admin.organization.external_storage /organization/external_storage validate=POST:/{}/validate
admin.organization.groups /organization/groups create delete list retrieve update
admin.organization.groups.roles +/{}/roles create delete list retrieve
admin.organization.groups.users +/{}/users create delete list retrieve
admin.organization.invites /organization/invites create delete list retrieve
admin.organization.projects /organization/projects create list retrieve update archive=POST:/{}/archive
admin.organization.projects.api_keys +/{}/api_keys delete list retrieve update
admin.organization.projects.certificates +/{}/certificates list activate=POST:/activate deactivate=POST:/deactivate
admin.organization.projects.data_retention +/{}/data_retention retrieve=GET: update=POST:
admin.organization.projects.groups +/{}/groups create delete list retrieve
admin.organization.projects.groups.roles /projects/{}/groups/{}/roles create delete list retrieve
admin.organization.projects.hosted_tool_permissions +/{}/hosted_tool_permissions retrieve=GET: update=POST:
admin.organization.projects.model_permissions +/{}/model_permissions delete=DELETE: retrieve=GET: update=POST:
admin.organization.projects.rate_limits +/{}/rate_limits list_rate_limits=GET: update_rate_limit=POST:/{}
admin.organization.projects.roles /projects/{}/roles create delete list retrieve update
admin.organization.projects.service_accounts +/{}/service_accounts create delete list retrieve update
admin.organization.projects.service_accounts.api_keys +/{}/api_keys create
admin.organization.projects.service_tier_settings +/{}/service_tier_settings retrieve=GET: update=POST:
admin.organization.projects.spend_alerts +/{}/spend_alerts create delete list retrieve update
admin.organization.projects.spend_limit +/{}/spend_limit delete=DELETE: retrieve=GET: update=POST:
admin.organization.projects.users +/{}/users create delete list retrieve update
admin.organization.projects.users.roles /projects/{}/users/{}/roles create delete list retrieve
admin.organization.roles /organization/roles create delete list retrieve update
admin.organization.spend_alerts /organization/spend_alerts create delete list retrieve update
admin.organization.spend_limit /organization/spend_limit delete=DELETE: retrieve=GET: update=POST:
admin.organization.usage /organization/usage audio_speeches=GET:/audio_speeches
admin.organization.usage /organization/usage audio_transcriptions=GET:/audio_transcriptions
admin.organization.usage /organization/usage code_interpreter_sessions=GET:/code_interpreter_sessions
admin.organization.usage /organization/usage completions=GET:/completions decisions=GET:/decisions
admin.organization.usage /organization/usage embeddings=GET:/embeddings file_search_calls=GET:/file_search_calls
admin.organization.usage /organization/usage images=GET:/images moderations=GET:/moderations
admin.organization.usage /organization/usage vector_stores=GET:/vector_stores web_search_calls=GET:/web_search_calls
admin.organization.usage /organization/costs costs=GET:
admin.organization.users /organization/users delete list retrieve update
admin.organization.users.roles +/{}/roles create delete list retrieve
admin.organization.workload_identity_providers /organization/workload_identity_providers create delete list retrieve
admin.organization.workload_identity_providers /organization/workload_identity_providers update
admin.organization.workload_identity_providers.federation_rules +/{}/federation_rules create delete list retrieve
admin.organization.workload_identity_providers.federation_rules +/{}/federation_rules update
audio.speech /audio/speech create
audio.transcriptions /audio/transcriptions create
audio.translations /audio/translations create
audio.voice_consents /audio/voice_consents create delete list retrieve update
audio.voices /audio/voices create delete
batches /batches cancel create list retrieve
beta.agents /agents create delete list retrieve update
beta.agents.automations +/automations create delete list retrieve update pause=POST:/{}/pause resume=POST:/{}/resume
beta.agents.automations.invocations +/{}/invocations create list retrieve
beta.agents.environments +/environments create list retrieve
beta.agents.environments.files +/{}/files create list
beta.agents.environments.templates +/templates create delete list retrieve update
beta.agents.sessions +/sessions create delete list retrieve update
beta.agents.sessions.artifacts +/{}/artifacts content delete list retrieve
beta.agents.sessions.events +/{}/events create stream=GET:
beta.agents.sessions.items +/{}/items list
beta.agents.sessions.subagents +/{}/subagents list retrieve
beta.agents.sessions.subagents.items +/{}/items list
beta.agents.sessions.subagents.turns +/{}/turns list retrieve
beta.agents.sessions.subagents.turns.items +/{}/items list
beta.agents.sessions.traces +/{}/traces list
beta.agents.sessions.turns +/{}/turns list retrieve
beta.agents.sessions.turns.items +/{}/items list
beta.agents.vaults /vaults create delete list retrieve update
beta.agents.vaults.credentials +/{}/credentials create delete list retrieve update
beta.assistants /assistants create delete list retrieve update
beta.chatkit.sessions /chatkit/sessions cancel create
beta.chatkit.threads /chatkit/threads delete list retrieve list_items=GET:/{}/items
beta.realtime.sessions /realtime/sessions create
beta.realtime.transcription_sessions /realtime/transcription_sessions create
beta.threads /threads create delete retrieve update create_and_run=POST:/runs
beta.threads.messages +/{}/messages create delete list retrieve update
beta.threads.runs +/{}/runs cancel create list retrieve update submit_tool_outputs=POST:/{}/submit_tool_outputs
beta.threads.runs.steps +/{}/steps list retrieve
chat.completions /chat/completions create delete list retrieve update
chat.completions.messages +/{}/messages list
completions /completions create
containers /containers create delete list retrieve
containers.files +/{}/files create delete list retrieve
containers.files.content +/{}/content retrieve=GET:
content_provenance_checks /content_provenance_checks create
conversations /conversations create delete retrieve update
conversations.items +/{}/items create delete list retrieve
decisions /decisions create
embeddings /embeddings create
evals /evals create delete list retrieve update
evals.runs +/{}/runs cancel create delete list retrieve cancel=POST:/{}
evals.runs.output_items +/{}/output_items list retrieve
files /files content create delete list retrieve
fine_tuning.alpha.graders /fine_tuning/alpha/graders run=POST:/run validate=POST:/validate
fine_tuning.checkpoints.permissions /fine_tuning/checkpoints/{}/permissions create delete list
fine_tuning.jobs /fine_tuning/jobs cancel create list retrieve list_events=GET:/{}/events pause=POST:/{}/pause
fine_tuning.jobs /fine_tuning/jobs resume=POST:/{}/resume
fine_tuning.jobs.checkpoints +/{}/checkpoints list
images /images create_variation=POST:/variations edit=POST:/edits generate=POST:/generations
live /live/sessions create
live.sessions + accept=POST:/{}/accept download_recording=GET:/{}/content fork=POST:/{}/fork hangup=POST:/{}/hangup
live.sessions + refer=POST:/{}/refer reject=POST:/{}/reject
models /models delete list retrieve
moderations /moderations create
realtime.calls /realtime/calls create accept=POST:/{}/accept hangup=POST:/{}/hangup refer=POST:/{}/refer
realtime.calls /realtime/calls reject=POST:/{}/reject
realtime.client_secrets /realtime/client_secrets create
realtime.translations.client_secrets /realtime/translations/client_secrets create
responses /responses cancel create delete retrieve compact=POST:/compact
responses.input_items +/{}/input_items list
responses.input_tokens +/input_tokens count=POST:
safety.alerts /safety/alerts retrieve
safety.cases /safety/cases retrieve
skills /skills create delete list retrieve update
skills.content +/{}/content retrieve=GET:
skills.versions +/{}/versions create delete list retrieve
skills.versions.content +/{}/content retrieve=GET:
uploads /uploads cancel create complete=POST:/{}/complete
uploads.parts +/{}/parts create
vector_stores /vector_stores create delete list retrieve update search=POST:/{}/search
vector_stores.file_batches +/{}/file_batches cancel create retrieve list_files=GET:/{}/files
vector_stores.files +/{}/files content create delete list retrieve update
videos /videos create delete list retrieve create_character=POST:/characters download_content=GET:/{}/content
videos /videos edit=POST:/edits extend=POST:/extensions get_character=GET:/characters/{} remix=POST:/{}/remix
webhooks /webhook_endpoints create delete list retrieve update rotate_secret=POST:/{}/rotate_secret test=POST:/{}/test
webhooks.event_types /webhook_event_types list
"""


def path_of(url: str) -> str:
    """The path below the base URL; the application may name a whole one, or leave out what all begin with."""
    path = (urlsplit(url).path if url.startswith(("http://", "https://")) else url).partition("?")[0]
    path = path if path.startswith("/") else f"/{path}"
    for prefix in _PREFIXES:
        if path.startswith(f"{prefix}/"):
            return path[len(prefix) :]
    return path


# Of base URLs, and so of whole ones.
_PREFIXES = ("/openai/v1", "/api/v1", "/v1", "/openai")


@functools.cache
def endpoints() -> dict[str, str]:
    """``POST /images/generations`` -> ``images.generate``; ids stand as ``{}``. Made when the first one is needed."""
    found: dict[str, str] = {}
    paths: dict[str, str] = {}
    for line in _RESOURCES.strip().splitlines():
        resource, base, *methods = line.split()
        if base.startswith("+"):
            base = paths[resource.rpartition(".")[0]] + base[1:]
        paths.setdefault(resource, base)
        for method in methods:
            name, _, request = method.partition("=")
            verb, _, rest = (request or _USUAL[name]).partition(":")
            found.setdefault(f"{verb} {base}{rest}", f"{resource}.{name}")
    return found


@functools.cache
def _words() -> frozenset[str]:
    return frozenset(word for route in endpoints() for word in route.split("/")[1:])


def endpoint_of(method: str, path: str) -> str:
    """``files.content`` for ``get`` and ``/files/file-1/content``; ``GET /files/*`` for what is not in the table."""
    verb, words = method.upper(), _words()
    parts = [part if part in words else "{}" for part in path.partition("?")[0].strip("/").split("/")]
    name = endpoints().get(f"{verb} /{'/'.join(parts)}")
    if name is not None:
        return name
    # Not in the table: as far as the words are known, so that no id and no secret is in a name.
    known = parts[: parts.index("{}")] if "{}" in parts else parts
    return f"{verb if verb.isalpha() else 'HTTP'} /{'/'.join([*known, '*'])}"
