//! What an error of Kafka means, and what is to be done about it. Pure.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What an error means for what was to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Kafka is away, busy or changing: it passes, and nobody has to do anything.
    Passing,
    /// It stays until somebody changes the settings, Kafka's or ours.
    Setup,
    /// This record will never be taken.
    Refused,
    /// The connection is of no use any more; a new one goes on.
    Broken,
}

/// An error, with its meaning and words for whoever has to act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct Failure {
    /// What it means.
    pub meaning: Meaning,
    /// What happened and, where somebody has to do something, what.
    pub said: String,
}

impl Failure {
    /// Something that only an operator can put right.
    pub fn setup(said: impl Into<String>) -> Self {
        Self { meaning: Meaning::Setup, said: said.into() }
    }

    /// What a code of librdkafka or of a broker means. `about` is what it is about (a topic, the cluster), `reason` what
    /// librdkafka says beside it.
    pub(super) fn of(code: Code, about: &str, reason: &str) -> Self {
        let (meaning, advice) = of_code(code);
        let mut said = format!("{about}: {code}");
        if !reason.is_empty() {
            said.push_str(&format!(" ({reason})"));
        }
        if !advice.is_empty() {
            said.push_str(&format!("; {advice}"));
        }
        Self { meaning, said }
    }
}

fn of_code(code: Code) -> (Meaning, &'static str) {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition => (
            Meaning::Setup,
            "create the topic, or set create_topics = true in [kafka], or correct its name there",
        ),
        Code::InvalidTopic => (Meaning::Setup, "a topic's name has letters, digits, '.', '_' and '-' only"),
        Code::UnknownPartition => (Meaning::Passing, ""),
        Code::TopicAuthorizationFailed => (
            Meaning::Setup,
            "allow this user Write and Describe on the topic (and Create, where create_topics is set)",
        ),
        Code::ClusterAuthorizationFailed => {
            (Meaning::Setup, "allow this user IdempotentWrite on the cluster, or Write on the topics")
        }
        Code::Authentication | Code::SaslAuthenticationFailed => {
            (Meaning::Setup, "correct sasl.mechanism, sasl.username and sasl.password in [kafka.properties]")
        }
        Code::UnsupportedSASLMechanism | Code::IllegalSASLState => (
            Meaning::Setup,
            "set sasl.mechanism and security.protocol in [kafka.properties] as the broker has them",
        ),
        Code::SSL => (
            Meaning::Setup,
            "check security.protocol, ssl.ca.location and the names in the broker's certificate",
        ),
        Code::InvalidArgument | Code::InvalidConfig => {
            (Meaning::Setup, "correct [kafka] and [kafka.properties]")
        }
        Code::UnsupportedFeature | Code::UnsupportedVersion | Code::UnsupportedForMessageFormat => (
            Meaning::Setup,
            "this broker is too old: Kafka 2.1 or newer is needed (zstd, idempotent producers)",
        ),
        Code::UnsupportedCompressionType => {
            (Meaning::Setup, "set compression.type in [kafka.properties] to one that the topic takes")
        }
        Code::InvalidRequiredAcks => (Meaning::Setup, "acks must be all"),
        Code::PolicyViolation => (Meaning::Refused, ""),
        Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::MessageBatchTooLarge => (Meaning::Refused, ""),
        Code::Fatal
        | Code::GaplessGuarantee
        | Code::Fenced
        | Code::OutOfOrderSequenceNumber
        | Code::DuplicateSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced
        | Code::UnknownProducerId
        | Code::PurgeQueue
        | Code::PurgeInflight => (Meaning::Broken, ""),
        _ => (Meaning::Passing, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_an_operator_can_put_right_says_what_to_do() {
        for (code, expected) in [
            (Code::UnknownTopicOrPartition, "create the topic"),
            (Code::TopicAuthorizationFailed, "allow this user Write"),
            (Code::ClusterAuthorizationFailed, "IdempotentWrite"),
            (Code::SaslAuthenticationFailed, "sasl.password"),
            (Code::SSL, "ssl.ca.location"),
            (Code::UnsupportedVersion, "Kafka 2.1"),
        ] {
            let failure = Failure::of(code, "topic vedette.process", "why");
            assert_eq!(failure.meaning, Meaning::Setup, "{code:?}");
            assert!(failure.said.starts_with("topic vedette.process: "), "{}", failure.said);
            assert!(failure.said.contains(expected), "{}", failure.said);
        }
    }

    #[test]
    fn what_passes_is_tried_again_and_a_record_is_refused_alone() {
        for code in [
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::MessageTimedOut,
            Code::NotLeaderForPartition,
            Code::LeaderNotAvailable,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::RequestTimedOut,
            Code::KafkaStorageError,
            Code::QueueFull,
        ] {
            assert_eq!(Failure::of(code, "", "").meaning, Meaning::Passing, "{code:?}");
        }
        assert_eq!(Failure::of(Code::MessageSizeTooLarge, "", "").meaning, Meaning::Refused);
        assert_eq!(Failure::of(Code::GaplessGuarantee, "", "").meaning, Meaning::Broken);
    }
}
