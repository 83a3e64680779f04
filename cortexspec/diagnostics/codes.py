"""Every code with its slug and its meaning. A code keeps its meaning for ever.

CS1 syntax, 2 schema, 3 names, 4 units, 5 shapes and connections, 6 IR, 7 passes and lowering, 8 backends,
9 plugins, data and experiments. `docs/errors/CODE.md` explains each one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    slug: str
    meaning: str


_ALL = (
    Code("CS101", "unexpected-text", "the text does not fit the grammar at this place"),
    Code("CS102", "never-closed", "a brace, bracket, text or doc string that is opened and not closed"),
    Code("CS103", "raised-character", "a superscript or subscript in a name or formula: powers are written with `^`"),
    Code("CS104", "unknown-unit", "a unit outside the language's table, or one that is not joined to its number"),
    Code("CS105", "misplaced-statement", "a statement stands in a block where it means nothing"),
    Code("CS106", "reserved-word", "a word of the language is used as a name"),
    Code("CS107", "equation-at-a-spike", "a change at a spike is written with `=` instead of `<-`"),
    Code("CS108", "too-large", "the text is longer or nested deeper than any circuit needs"),
    Code("CS109", "malformed-number", "a number is not written as the language writes numbers, or does not fit a float"),
    Code("CS110", "unknown-character", "a character that the language does not use outside texts and comments"),
    Code("CS201", "schema-mismatch", "a field of the spec object, YAML or JSON is missing, unknown or malformed"),
    Code("CS202", "unreadable-file", "a file that is not the JSON or YAML that its name says"),
    Code("CS301", "unknown-name", "a name that nothing in reach declares"),
    Code("CS302", "duplicate-name", "a name that is declared twice in one scope, or that hides a built-in"),
    Code("CS303", "not-constant", "a value that must be known before anything runs depends on what is trained or simulated"),
    Code("CS401", "unit-mismatch", "two quantities of different dimension meet"),
    Code("CS501", "axis-mismatch", "two arrays meet whose axes do not fit"),
    Code("CS507", "unknown-size", "the size of an input is taken from data, and none has been given"),
    Code("CS601", "invalid-ir", "a module that breaks a rule of the IR"),
    Code("CS602", "kind-mismatch", "a truth value, an integer or a number stands where another of them is wanted"),
    Code("CS603", "unreadable-ir", "a text that is not the text form of the IR"),
    Code("CS604", "ir-version", "a module of another version of the IR"),
    Code("CS700", "not-supported-yet", "the construct is part of the language, but does not lower yet"),
    Code("CS701", "unknown-pass", "a pipeline names a pass that does not exist"),
    Code("CS711", "unknown-solver", "neither the passes nor the backend have a solver of this name"),
    Code("CS721", "noise-solver", "white noise needs the solver `euler_maruyama`"),
    Code("CS801", "missing-lowering", "the backend has no lowering for an operation"),
    Code("CS802", "missing-backend", "no installed distribution provides this backend"),
    Code("CS901", "missing-data", "a data file that the spec names is not there"),
    Code("CS902", "plugin-clash", "two installed distributions provide a backend or plugin of one name"),
    Code("CS903", "broken-plugin", "an installed backend or plugin cannot be imported"),
    Code("CS904", "missing-plugin", "no installed distribution provides this plugin"),
    Code("CS905", "missing-file", "a spec file, or one that `use` names, is not there or lies outside the spec's folder"),
    Code("CS911", "malformed-data", "a data file is not of the format that it should have, or is cut short"),
    Code("CS912", "unknown-data-set", "no data set has this name"),
    Code("CS913", "unknown-schedule", "no learning-rate schedule has this name"),
    Code("CS914", "wrong-checkpoint", "a checkpoint is cut short, or of another circuit, experiment or plan"),
    Code("CS915", "diverged", "training or simulation left the finite numbers"),
    Code("CS916", "unfit-duration", "a duration or a step is missing, or the duration is no whole number of steps"),
    Code("CS918", "unknown-format", "a file for results whose ending names no format"),
    Code("CS921", "undefined-claim", "a claim reads a value that its cells do not have"),
    Code("CS923", "unknown-setting", "a section of an experiment has no such setting"),
    Code("CS922", "broken-cell", "a stored result of an experiment cannot be read"),
)
CODES = {entry.code: entry for entry in _ALL}
