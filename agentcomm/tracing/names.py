"""Every name that a span of ours carries; nothing else in the code spells one.

`gen_ai.*` follows the GenAI semantic conventions, which are still in development, `messaging.*` those for messaging. What no
convention knows (acts, protocol states, grounding, repair) stands under `agentcomm.*`. The few OpenInference names make a
backend such as Phoenix show a conversation turn by turn.
"""

from typing import Final

GENAI_SEMCONV: Final = "0.1.0"
"""Version of the GenAI semantic conventions that the `gen_ai.*` names are from."""
SCHEMA_VERSION: Final = "1"
"""Version of our own names."""

# Operations: the first word of a span's name; what follows comes from a declared set, never from an id.
OPEN_CONVERSATION: Final = "open_conversation"
CLOSE_CONVERSATION: Final = "close_conversation"
INVOKE_AGENT: Final = "invoke_agent"
RECEIVE: Final = "receive"
CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"
TRANSITION: Final = "transition"
GROUND: Final = "ground"
SEND: Final = "send"
TIMEOUT: Final = "timeout"
EDIT_PROMPT: Final = "edit_prompt"

# General conventions
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"

# GenAI conventions
GENAI_OPERATION: Final = "gen_ai.operation.name"
GENAI_CONVERSATION: Final = "gen_ai.conversation.id"
GENAI_AGENT: Final = "gen_ai.agent.name"
GENAI_PROVIDER: Final = "gen_ai.provider.name"
GENAI_REQUEST_MODEL: Final = "gen_ai.request.model"
GENAI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GENAI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GENAI_OUTPUT_TYPE: Final = "gen_ai.output.type"
GENAI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GENAI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GENAI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GENAI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GENAI_TOOL: Final = "gen_ai.tool.name"
GENAI_TOOL_TYPE: Final = "gen_ai.tool.type"
GENAI_TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GENAI_TOOL_RESULT: Final = "gen_ai.tool.call.result"

# Messaging conventions
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_ID: Final = "messaging.message.id"
MESSAGING_CONVERSATION: Final = "messaging.message.conversation_id"
MESSAGING_SIZE: Final = "messaging.message.body.size"

# OpenInference
OI_KIND: Final = "openinference.span.kind"
OI_SESSION: Final = "session.id"
OI_INPUT: Final = "input.value"
OI_INPUT_TYPE: Final = "input.mime_type"
OI_OUTPUT: Final = "output.value"
OI_OUTPUT_TYPE: Final = "output.mime_type"
OI_NODE: Final = "graph.node.id"
OI_PARENT_NODE: Final = "graph.node.parent_id"
OI_AGENT: Final = "AGENT"
OI_CHAIN: Final = "CHAIN"
OI_EVALUATOR: Final = "EVALUATOR"
OI_GUARDRAIL: Final = "GUARDRAIL"
OI_LLM: Final = "LLM"
OI_TOOL: Final = "TOOL"

# On every span of ours
SYSTEM: Final = "agentcomm"
PROTOCOL: Final = "agentcomm.protocol.name"
PROTOCOL_VERSION: Final = "agentcomm.protocol.version"
ROLE: Final = "agentcomm.role"
TURN_INDEX: Final = "agentcomm.turn.index"

# Markers
PROTOCOL_HASH: Final = "agentcomm.protocol.hash"
PARTICIPANTS: Final = "agentcomm.participants"
STATE_INITIAL: Final = "agentcomm.state.initial"
STATE_FINAL: Final = "agentcomm.state.final"
SCHEMA: Final = "agentcomm.schema_version"
GENAI_VERSION: Final = "agentcomm.genai_semconv_version"
OUTCOME: Final = "agentcomm.conversation.outcome"
OUTCOME_NAME: Final = "agentcomm.conversation.outcome_name"
TURNS: Final = "agentcomm.conversation.turns"
MESSAGES: Final = "agentcomm.conversation.messages"
REPAIRS: Final = "agentcomm.conversation.repairs"
REJECTIONS: Final = "agentcomm.conversation.rejections"
DURATION: Final = "agentcomm.conversation.duration_s"
AUDIT_HEAD: Final = "agentcomm.audit.head"
AUDIT_COUNT: Final = "agentcomm.audit.count"

# Turn
AGENT_KIND: Final = "agentcomm.agent.kind"
TURN_ID: Final = "agentcomm.turn.id"
TURN_TRIGGER: Final = "agentcomm.turn.trigger"
TURN_OUTCOME: Final = "agentcomm.turn.outcome"
STATE_BEFORE: Final = "agentcomm.state.before"
STATE_AFTER: Final = "agentcomm.state.after"
TRIGGER_IDS: Final = "agentcomm.message.trigger_ids"
REPAIR_ID: Final = "agentcomm.repair.id"
REPAIR_KIND: Final = "agentcomm.repair.kind"
REPAIR_TRIGGER: Final = "agentcomm.repair.trigger"
REPAIR_DEPTH: Final = "agentcomm.repair.depth"
LINK_RELATION: Final = "agentcomm.link.relation"

# Receive and send
ACT: Final = "agentcomm.message.act"
SENDER: Final = "agentcomm.message.sender"
RECEIVERS: Final = "agentcomm.message.receivers"
IN_REPLY_TO: Final = "agentcomm.message.in_reply_to"
CONTENT: Final = "agentcomm.message.content"
CONTENT_HASH: Final = "agentcomm.message.content_hash"
CONTENT_SCHEMA: Final = "agentcomm.message.schema"
DUPLICATE: Final = "agentcomm.message.duplicate"
LATENCY: Final = "agentcomm.message.latency_s"

# Transition
STATE_FROM: Final = "agentcomm.state.from"
STATE_TO: Final = "agentcomm.state.to"
TRANSITION_ACT: Final = "agentcomm.transition.act"
TRANSITION_SIDE: Final = "agentcomm.transition.side"
TRANSITION_OUTCOME: Final = "agentcomm.transition.outcome"
TRANSITION_RULE: Final = "agentcomm.transition.rule"
ALLOWED_ACTS: Final = "agentcomm.transition.allowed_acts"
REJECTION_REASON: Final = "agentcomm.rejection.reason"
REJECTION_ACTION: Final = "agentcomm.rejection.action"

# Grounding
GROUNDING_METHOD: Final = "agentcomm.grounding.method"
GROUNDING_CRITERION: Final = "agentcomm.grounding.criterion"
GROUNDING_TARGET: Final = "agentcomm.grounding.target"
GROUNDING_FIELDS: Final = "agentcomm.grounding.fields"
GROUNDING_VERDICT: Final = "agentcomm.grounding.verdict"
GROUNDING_EVIDENCE: Final = "agentcomm.grounding.evidence"
GROUNDING_EXPLANATION: Final = "agentcomm.grounding.explanation"
GROUNDING_ACTION: Final = "agentcomm.grounding.action"

# Prompt and answer
PROMPT_HASH: Final = "agentcomm.prompt.hash"
PROMPT_SOURCE_HASH: Final = "agentcomm.prompt.source_hash"
PROMPT_MODIFIED: Final = "agentcomm.prompt.modified"
PROMPT_EDIT_COUNT: Final = "agentcomm.prompt.edit_count"
PROMPT_EDITS: Final = "agentcomm.prompt.edits"
PROMPT_LEFT_OUT: Final = "agentcomm.prompt.left_out"
PROMPT_UNACCOUNTED: Final = "agentcomm.prompt.unaccounted"
PROMPT_SENT_HASH: Final = "agentcomm.prompt.sent_hash"
PROMPT_SEGMENTS: Final = "agentcomm.prompt.segments"
PROMPT_SCHEMA_HASH: Final = "agentcomm.prompt.schema_hash"
PROMPT_OFFERED: Final = "agentcomm.prompt.offered_acts"
PROMPT_CLASSIFIERS: Final = "agentcomm.prompt.classifiers"
PROMPT_STORED: Final = "agentcomm.prompt.stored"
OUTPUT_RAW_HASH: Final = "agentcomm.output.raw_hash"
RETRY_ATTEMPT: Final = "agentcomm.retry.attempt"
RETRY_TRANSPORT: Final = "agentcomm.retry.transport_count"
ERROR_CODE: Final = "agentcomm.error.code"

EDIT_N: Final = "agentcomm.prompt.edit.n"
EDIT_OP: Final = "agentcomm.prompt.edit.op"
EDIT_LABEL: Final = "agentcomm.prompt.edit.label"
EDIT_CHARS: Final = "agentcomm.prompt.edit.chars"
EDIT_HASH: Final = "agentcomm.prompt.edit.hash"

# Of a turn whose steps are no spans of their own
MODEL_CALLS: Final = "agentcomm.turn.model_calls"
TOOL_CALLS: Final = "agentcomm.turn.tool_calls"
TOOLS: Final = "agentcomm.turn.tools"
TURN_REJECTIONS: Final = "agentcomm.turn.rejections"
TURN_ERRORS: Final = "agentcomm.turn.step_errors"

# Tool
TOOL_ARGUMENTS_HASH: Final = "agentcomm.tool.arguments_hash"
TOOL_RESULT_HASH: Final = "agentcomm.tool.result_hash"

# Timeout
TIMEOUT_KIND: Final = "agentcomm.timeout.kind"
TIMEOUT_LIMIT: Final = "agentcomm.timeout.limit_s"
TIMEOUT_WAITED: Final = "agentcomm.timeout.waited_s"
TIMEOUT_AWAITING: Final = "agentcomm.timeout.awaiting_acts"
