"""Whether a workflow can be run: ComfyUI's own checks, in its own words and order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gesso.sandbox.comfyui.nodes import NODES, Input

_LONG_LIST = 20
_TURN: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
Workflow = dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """`error` None: it is taken. `outputs`: the nodes that will run; `node_errors`: what is wrong with the others."""

    error: dict[str, Any] | None = None
    outputs: tuple[str, ...] = ()
    node_errors: dict[str, Any] = field(default_factory=dict)


def check(workflow: Workflow, has_picture: Callable[[str], bool], *, old: bool) -> Checked:
    """Look at all of it. Values are turned into their types in place. Raises what a slip in the body makes of
    ComfyUI's code (AttributeError, KeyError, TypeError), for the 500 that follows."""
    for node, content in workflow.items():
        missing = _missing_class(node, content, old=old)
        if missing is not None:
            return Checked(missing)
    outputs = [node for node, content in workflow.items() if NODES[content["class_type"]].saves]
    if not outputs:
        return Checked(_error("prompt_no_outputs", "Prompt has no outputs", ""))
    looking = _Looking(workflow, has_picture)
    good = [node for node in outputs if looking.is_good(node)]
    if good:
        return Checked(None, tuple(good), looking.node_errors)
    lines = "\n".join(f"{item['message']}: {item['details']}" for item in looking.of_outputs)
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", lines)
    return Checked(error, (), looking.node_errors)


def faulted(workflow: Workflow, outputs: tuple[str, ...]) -> Checked:
    """The refusal of a workflow in which nothing is wrong, on demand: its first text is found fault with."""
    at = next((node for node, content in workflow.items() if content["class_type"] == "CLIPTextEncode"), outputs[0])
    details = "text - The sandbox was asked to find fault with this prompt."
    wrong = _error("custom_validation_failed", "Custom validation failed for node", details, input_name="text")
    told = {"errors": [wrong], "dependent_outputs": list(outputs), "class_type": workflow[at]["class_type"]}
    error = _error("prompt_outputs_failed_validation", "Prompt outputs failed validation", "")
    return Checked(error, (), {at: told})


def _error(kind: str, message: str, details: str, **extra: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _missing_class(node: str, content: Any, *, old: bool) -> dict[str, Any] | None:
    details = f"Node ID '#{node}'"
    if "class_type" not in content:
        if old:
            message = "Cannot execute because a node is missing the class_type property."
            return _error("invalid_prompt", message, details)
        message = f"Node 'ID #{node}' has no class_type. The workflow may be corrupted or a custom node is missing."
        return _error("missing_node_type", message, details, node_id=node, class_type=None, node_title=None)
    name = content["class_type"]
    if name in NODES:
        return None
    if old:
        return _error("invalid_prompt", f"Cannot execute because node {name} does not exist.", details)
    title = content.get("_meta", {}).get("title", name)
    message = f"Node '{title}' not found. The custom node may not be installed."
    return _error("missing_node_type", message, details, node_id=node, class_type=name, node_title=title)


class _Looking:
    """One look at a workflow. `of_outputs`: what is wrong at the output nodes themselves."""

    def __init__(self, workflow: Workflow, has_picture: Callable[[str], bool]) -> None:
        self._workflow, self._has_picture = workflow, has_picture
        self._seen: dict[str, tuple[bool, list[dict[str, Any]]]] = {}
        self.node_errors: dict[str, Any] = {}
        self.of_outputs: list[dict[str, Any]] = []

    def is_good(self, output: str) -> bool:
        try:
            valid, reasons = self._node(output)
        except KeyError as error:
            valid, reasons = False, [_exception("exception_during_validation", "Exception when validating node", error)]
            self._seen[output] = (False, reasons)
        if valid:
            return True
        self.of_outputs += reasons
        for node, (fine, wrong) in self._seen.items():
            if not fine and wrong:
                told = {"errors": wrong, "dependent_outputs": [], "class_type": self._workflow[node]["class_type"]}
                self.node_errors.setdefault(node, told)["dependent_outputs"].append(output)
        return False

    def _node(self, node: str) -> tuple[bool, list[dict[str, Any]]]:
        if node in self._seen:
            return self._seen[node]
        inputs = self._workflow[node]["inputs"]
        kind = NODES[self._workflow[node]["class_type"]]
        errors, valid = [], True
        for name, declared in kind.inputs.items():
            if name not in inputs:
                if name in kind.required:
                    errors.append(_error("required_input_missing", "Required input is missing", name, input_name=name))
            elif isinstance(inputs[name], list):
                fine, wrong = self._link(name, declared, inputs[name])
                valid = valid and fine
                errors += wrong
            else:
                errors += self._value(inputs, name, declared)
        found = (valid and not errors, errors)
        self._seen[node] = found
        return found

    def _link(self, name: str, declared: Input, value: list[Any]) -> tuple[bool, list[dict[str, Any]]]:
        about: dict[str, Any] = {"input_name": name, "input_config": declared.config}
        if len(value) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return True, [_error("bad_linked_input", message, name, **about, received_value=value)]
        source = value[0]
        received = NODES[self._workflow[source]["class_type"]].gives[value[1]]
        if received != declared.type:
            details = f"{name}, received_type({received}) mismatch input_type({declared.type})"
            message = "Return type mismatch between linked nodes"
            return True, [
                _error("return_type_mismatch", message, details, **about, received_type=received, linked_node=value)
            ]
        try:
            return self._node(source)[0], []
        except (KeyError, IndexError) as error:
            message = "Exception when validating inner node"
            wrong = _exception("exception_during_inner_validation", message, error, **about, linked_node=value)
            self._seen[source] = (False, [wrong])
            return False, []

    def _value(self, inputs: dict[str, Any], name: str, declared: Input) -> list[dict[str, Any]]:
        value = inputs[name]
        about: dict[str, Any] = {"input_name": name, "input_config": declared.config, "received_value": value}
        if declared.more.get("image_upload"):
            if self._has_picture(value):
                return []
            message = "Custom validation failed for node"
            return [
                _error("custom_validation_failed", message, f"{name} - Invalid image file: {value}", input_name=name)
            ]
        if isinstance(declared.type, list):
            return _chosen(name, value, declared, about)
        try:
            value = inputs[name] = _TURN.get(declared.type, lambda given: given)(value)
        except (ValueError, TypeError) as error:
            message = f"Failed to convert an input value to a {declared.type} value"
            details = f"{name}, {value}, {error}"
            return [_error("invalid_input_type", message, details, **about, exception_message=str(error))]
        low, high = declared.more.get("min"), declared.more.get("max")
        if low is not None and value < low:
            return [_error("value_smaller_than_min", f"Value {value} smaller than min of {low}", name, **about)]
        if high is not None and value > high:
            return [_error("value_bigger_than_max", f"Value {value} bigger than max of {high}", name, **about)]
        return []


def _chosen(name: str, value: Any, declared: Input, about: dict[str, Any]) -> list[dict[str, Any]]:
    if value in declared.type:
        return []
    long = len(declared.type) > _LONG_LIST
    known = f"(list of length {len(declared.type)})" if long else str(declared.type)
    about = about | ({"input_config": None} if long else {})
    return [_error("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {known}", **about)]


def _exception(kind: str, message: str, error: Exception, **extra: Any) -> dict[str, Any]:
    return _error(kind, message, str(error), **extra, exception_type=type(error).__name__, traceback=[])
