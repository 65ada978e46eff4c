//! What every event and finding begins and ends with.

use wire::time::WallTime;

use super::class::Class;
use super::codes::severity;
use crate::shape::Writer;

/// Class, activity and severity.
pub fn class(class: &Class, (activity, name): (u32, &str), severity_id: u32, to: &mut Writer) {
    to.number_member("class_uid", u64::from(class.uid));
    to.string_member("class_name", class.name);
    to.number_member("category_uid", u64::from(class.category_uid));
    to.string_member("category_name", class.category);
    to.number_member("activity_id", u64::from(activity));
    to.string_member("activity_name", name);
    to.number_member("type_uid", u64::from(class.type_uid(activity)));
    to.key("type_name");
    to.raw("\"");
    to.raw(class.name);
    to.raw(": ");
    to.raw(class.activity(activity));
    to.raw("\"");
    to.number_member("severity_id", u64::from(severity_id));
    to.string_member("severity", severity(severity_id));
}

/// The time, twice: OCSF's is in ms.
pub fn time(time: WallTime, to: &mut Writer) {
    to.key("time");
    to.millis(time);
    to.key("time_dt");
    to.moment(time);
}

/// Which of our fields were escaped, as a member of `unmapped`; nothing if none was.
pub fn escaped(to: &mut Writer) {
    let names: Vec<&str> = to.escaped().iter().map(|field| field.name()).collect();
    if !names.is_empty() {
        to.key("event.escaped");
        to.raw("[");
        for name in names {
            to.comma();
            to.string(name);
        }
        to.raw("]");
    }
}
