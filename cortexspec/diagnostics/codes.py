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
    Code(
        "CS109", "malformed-number", "a number is not written as the language writes numbers, or does not fit a float"
    ),
    Code("CS110", "unknown-character", "a character that the language does not use outside texts and comments"),
    Code("CS201", "schema-mismatch", "a field of the spec object, YAML or JSON is missing, unknown or malformed"),
    Code("CS202", "unreadable-file", "a file that is not the JSON or YAML that its name says"),
    Code("CS301", "unknown-name", "a name that nothing in reach declares"),
    Code("CS302", "duplicate-name", "a name that is declared twice in one scope, or that hides a built-in"),
    Code(
        "CS303",
        "not-constant",
        "a value that must be known before anything runs depends on what is trained or simulated",
    ),
    Code("CS304", "let-out-of-order", "a `let` reads itself, or one that is declared after it"),
    Code("CS305", "circular-definition", "something is defined by itself, directly or through others"),
    Code("CS306", "wrong-argument", "an argument is missing, one too many, or of another kind than its template wants"),
    Code("CS307", "misplaced-modifier", "a modifier stands where it means nothing"),
    Code("CS308", "wrong-thing", "a name stands for another kind of thing than is wanted here"),
    Code("CS309", "state-without-place", "a synapse's state does not say where it lives"),
    Code("CS310", "no-derivative", "`=` stands without a derivative, where it would assign"),
    Code("CS311", "two-highest-derivatives", "one equation holds the highest derivative of two states"),
    Code("CS312", "not-a-state", "something is changed or started that is no state"),
    Code("CS315", "mention-of-removed", "something that a variant removes is still spoken of"),
    Code("CS316", "edit-of-nothing", "an experiment or variant edits something that does not exist"),
    Code("CS317", "changed-twice", "a state has two equations, two updates, an equation and an update, or two starts"),
    Code(
        "CS318",
        "not-settled",
        "a value that is settled before the first step reads what moves, or a start reads what is trained",
    ),
    Code("CS319", "start-not-known", "the start of a state reads what is not known before the first step"),
    Code("CS320", "no-surrogate", "training runs across a spike that has no surrogate, so the gradient is zero"),
    Code(
        "CS321",
        "surrogate-of-no-comparison",
        "a surrogate belongs to a condition that is not one comparison with `>` or `<`",
    ),
    Code("CS401", "unit-mismatch", "two quantities of different dimension meet"),
    Code("CS403", "wrong-delivery", "a connection delivers another dimension than its port takes"),
    Code("CS404", "unit-or-name", "a unit in a literal is a name in reach too, so the division could be meant"),
    Code("CS501", "axis-mismatch", "two arrays meet whose axes do not fit"),
    Code("CS503", "wrong-port", "an input or output is missing, ambiguous or not connected"),
    Code("CS504", "unequal-sizes", "a rule pairs sources with targets, and there are not as many of both"),
    Code("CS505", "wrong-size", "a size is no whole number, is zero where something must be, or has no value"),
    Code("CS506", "too-much", "the spec asks for more things than a machine should be asked for"),
    Code("CS507", "unknown-size", "the size of an input is taken from data, and none has been given"),
    Code("CS508", "feed-through-loop", "values of one step wait for each other in a circle"),
    Code("CS509", "not-linear", "an equation is not linear in its highest derivative"),
    Code("CS510", "impulse-not-linear", "a spike train enters an equation otherwise than as a term"),
    Code("CS511", "too-few-pairs", "a connection rule asks for more connections than there are pairs"),
    Code("CS512", "wrong-probability", "a probability lies outside [0, 1]"),
    Code("CS513", "budget-not-met", "no value of an argument spends a budget of trained parameters"),
    Code("CS515", "rate-diverges", "a neuron that fires by crossing has a voltage without a slope"),
    Code("CS601", "invalid-ir", "a module that breaks a rule of the IR"),
    Code("CS602", "kind-mismatch", "a truth value, an integer or a number stands where another of them is wanted"),
    Code("CS603", "unreadable-ir", "a text that is not the text form of the IR"),
    Code("CS604", "ir-version", "a module of another version of the IR"),
    Code("CS700", "not-supported-yet", "the construct is part of the language, but does not lower yet"),
    Code("CS701", "unknown-pass", "a pipeline names a pass that does not exist"),
    Code("CS711", "unknown-solver", "neither the passes nor the backend have a solver of this name"),
    Code("CS712", "solver-mismatch", "the solver cannot do what the circuit has"),
    Code("CS721", "noise-solver", "white noise needs the solver `euler_maruyama`"),
    Code("CS801", "missing-lowering", "the backend has no lowering for an operation"),
    Code("CS802", "missing-backend", "no installed distribution provides this backend"),
    Code("CS803", "missing-size", "a program needs a size that none of its inputs has"),
    Code("CS804", "unknown-option", "a backend or trainer is asked for something that it does not have"),
    Code("CS805", "missing-input", "a run is not given an input that the circuit has"),
    Code("CS806", "not-finite", "a run is given an input or a parameter that is infinite or no number"),
    Code("CS901", "missing-data", "a data file that the spec names is not there"),
    Code(
        "CS902",
        "plugin-clash",
        "two distributions provide a backend or plugin of one name, or two plugins an item of one name",
    ),
    Code("CS903", "broken-plugin", "an installed backend or plugin cannot be imported"),
    Code("CS904", "missing-plugin", "no installed distribution provides this plugin"),
    Code(
        "CS905", "missing-file", "a spec file, or one that `use` names, is not there or lies outside the spec's folder"
    ),
    Code("CS906", "missing-array", "a data file has no array of this name"),
    Code("CS907", "unfit-data", "an array of a data file has a gap, or holds no numbers"),
    Code("CS908", "short-data", "data are shorter than what is to be cut from them"),
    Code("CS909", "unknown-symbol", "data have a symbol that is not among those that are told"),
    Code("CS911", "malformed-data", "a data file is not of the format that it should have, or is cut short"),
    Code("CS912", "unknown-data-set", "no data set has this name"),
    Code("CS913", "unknown-schedule", "no learning-rate schedule has this name"),
    Code("CS914", "wrong-checkpoint", "a checkpoint is cut short, or of another circuit, experiment or plan"),
    Code("CS915", "diverged", "training or simulation left the finite numbers"),
    Code("CS916", "unfit-duration", "a duration or a step is missing, or the duration is no whole number of steps"),
    Code("CS918", "unknown-format", "a file for results whose ending names no format"),
    Code("CS919", "unwritable-file", "a result, a checkpoint or a program cannot be written where it is to go"),
    Code("CS921", "undefined-claim", "a claim reads a value that its cells do not have"),
    Code("CS922", "broken-cell", "a stored result of an experiment cannot be read"),
    Code("CS923", "unknown-setting", "a section of an experiment has no such setting"),
    Code("CS924", "not-an-objective", "what is maximised or minimised is no number that the experiment measures"),
    Code("CS925", "no-gradient", "an optimiser that follows a gradient is given a measure that has none"),
    Code("CS926", "unfit-training", "settings of `train` that do not go together"),
    Code("CS931", "counts-too-large", "a measure counts more combinations of states than fit in memory"),
    Code("CS932", "exact-too-large", "an exact analysis is asked for more neurons than it can enumerate"),
    Code("CS933", "no-stationary-law", "a network has no single stationary law, or none that is reached"),
    Code(
        "CS934",
        "not-binary-alone",
        "an exact analysis is asked for a circuit that is no network of binary neurons alone",
    ),
    Code("CS941", "folder-in-use", "another sweep uses the folder of results"),
    Code("CS942", "unfit-executor", "an executor is unknown, not installed, or does not answer"),
    Code("CS951", "rice-rate-diverges", "a spike makes the potential of a threshold-crossing neuron jump"),
    Code("CS952", "no-mean-field", "the mean-field theory is asked for a circuit that it does not describe"),
    Code("CS953", "not-balanced", "a network has no balanced state"),
    Code("CS954", "no-theory-solution", "the equations of the mean-field theory have no solution"),
    Code("CS955", "no-fit", "a likelihood has no maximum that could be found"),
)
CODES = {entry.code: entry for entry in _ALL}
