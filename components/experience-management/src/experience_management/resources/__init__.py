"""The resources of experience management, one module for each API."""

from experience_management.resources.communication import (
    COMMUNICATION_MESSAGE,
    CommunicationMessage,
    CommunicationMessageState,
    DeliveryStatus,
    Receiver,
    Sender,
)
from experience_management.resources.experience import (
    EXPERIENCE_INDEX_SPECIFICATION,
    EXPERIENCE_SCORE,
    SURVEY_RESPONSE,
    ExperienceIndexSpecification,
    ExperienceScore,
    SubjectType,
    SurveyInterval,
    SurveyMetric,
    SurveyResponse,
    SurveyResult,
)
from experience_management.resources.intent import (
    INTENT,
    INTENT_REPORT,
    INTENT_SPECIFICATION,
    Intent,
    IntentReport,
    IntentSpecification,
)
from experience_management.resources.interaction import PARTY_INTERACTION, PartyInteraction, PartyInteractionV4
from experience_management.resources.trouble_ticket import (
    TROUBLE_TICKET,
    TROUBLE_TICKET_SPECIFICATION,
    TroubleTicket,
    TroubleTicketSpecification,
    TroubleTicketStatus,
    TroubleTicketV4,
)

__all__ = [
    "COMMUNICATION_MESSAGE",
    "EXPERIENCE_INDEX_SPECIFICATION",
    "EXPERIENCE_SCORE",
    "INTENT",
    "INTENT_REPORT",
    "INTENT_SPECIFICATION",
    "PARTY_INTERACTION",
    "SURVEY_RESPONSE",
    "TROUBLE_TICKET",
    "TROUBLE_TICKET_SPECIFICATION",
    "CommunicationMessage",
    "CommunicationMessageState",
    "DeliveryStatus",
    "ExperienceIndexSpecification",
    "ExperienceScore",
    "Intent",
    "IntentReport",
    "IntentSpecification",
    "PartyInteraction",
    "PartyInteractionV4",
    "Receiver",
    "Sender",
    "SubjectType",
    "SurveyInterval",
    "SurveyMetric",
    "SurveyResponse",
    "SurveyResult",
    "TroubleTicket",
    "TroubleTicketSpecification",
    "TroubleTicketStatus",
    "TroubleTicketV4",
]
