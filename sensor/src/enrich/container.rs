//! What is said of the container that a process is part of.

use bytes::Bytes;
use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use crate::container::Container;
use crate::container::names::About;

/// Sets what a control group's path tells.
pub fn set_container(row: &mut Row, container: &Container<'_>) {
    row.set(Field::ContainerId, Bytes::copy_from_slice(container.id));
    if let Some(runtime) = container.runtime {
        row.set(Field::ContainerRuntime, runtime);
    }
    if let Some(uid) = &container.pod_uid {
        row.set(Field::KubernetesPodUid, Bytes::from(uid.clone()));
    }
}

/// What its runtime says of it.
pub fn names(about: &About) -> impl Iterator<Item = (Field, Value)> {
    let texts = [
        (Field::ContainerName, &about.name),
        (Field::ContainerImageName, &about.image),
        (Field::KubernetesPodName, &about.pod),
        (Field::KubernetesNamespace, &about.namespace),
    ];
    let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let runtime = about.runtime.map(|runtime| (Field::ContainerRuntime, Value::from(runtime)));
    let labels =
        (!about.labels.is_empty()).then(|| (Field::KubernetesLabels, Value::List(about.labels.clone())));
    said.map(|(field, text)| (field, Value::Keyword(text.clone()))).chain(labels).chain(runtime)
}
