"""Every statement of the language, tagged by `kind`; a block is a tuple of statements in written order.

Written order is kept because `let` reads top down, a site's ordinal counts, and a spec prints back as it was written.
"""

from typing import Annotated

from pydantic import Field

from cortexspec.schema.circuit import Attribute, Group, Instance, Instances, Loop, Penalty, Start
from cortexspec.schema.common import Argument, Modifier, RangeOf, TypeUse
from cortexspec.schema.connection import Connect
from cortexspec.schema.experiment import Claim, Measure, Remove, Retype, Section, Stimulus, Variant
from cortexspec.schema.neuron import Declarator, Declare, Equation, Noise, SetModifiers, Spike, Update
from cortexspec.schema.synapse import On, Send

Statement = Annotated[
    Declare
    | Instances
    | Group
    | Attribute
    | Equation
    | SetModifiers
    | Retype
    | Update
    | Spike
    | On
    | Send
    | Noise
    | Connect
    | Start
    | Remove
    | Penalty
    | Measure
    | Stimulus
    | Section
    | Variant
    | Claim
    | Loop,
    Field(discriminator="kind"),
]

for _model in (Spike, On, Connect, Section, Variant, Loop):
    _model.model_rebuild(_types_namespace={"Statement": Statement})

__all__ = [
    "Argument",
    "Attribute",
    "Claim",
    "Connect",
    "Declarator",
    "Declare",
    "Equation",
    "Group",
    "Instance",
    "Instances",
    "Loop",
    "Measure",
    "Modifier",
    "Noise",
    "On",
    "Penalty",
    "RangeOf",
    "Remove",
    "Retype",
    "Section",
    "Send",
    "SetModifiers",
    "Spike",
    "Start",
    "Statement",
    "Stimulus",
    "TypeUse",
    "Update",
    "Variant",
]
