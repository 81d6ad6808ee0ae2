//! What of a machine is set apart, for `hansa node show`: reservations, volumes and disks of their own.

use crate::table::Table;
use crate::text;
use hansa_api::apart::{Amounts, DiskPlace, NodeDetail, NodeReservation, Portion};

/// A table each of what there is; none on a machine where nothing is set apart.
pub fn tables(node: &NodeDetail) -> Vec<Table> {
    let kept = !node.reservations.is_empty() || !node.disks.is_empty();
    [kept.then(|| shares(node)), volumes(node), disks(node)].into_iter().flatten().collect()
}

fn shares(node: &NodeDetail) -> Table {
    let mut table = Table::new(&[
        "~KEPT FOR",
        "MADE",
        "PART",
        ">CPUS",
        ">MEM",
        ">DISK",
        "?>GPUS",
        "?~PORTS",
        "+~PRINCIPAL",
        "+~LABELS",
    ]);
    add(&mut table, ["anybody".into(), String::new(), String::new(), String::new()], &node.unreserved);
    for kept in &node.reservations {
        let principal = kept.principal.clone().unwrap_or_default();
        let who = [kept.role.to_string(), kept.kind.name().into(), principal, labels(kept)];
        add(&mut table, who, &kept.portion);
    }
    table
}

/// A line for all of it, and one for each who has something of it.
fn add(table: &mut Table, [role, kind, principal, labels]: [String; 4], portion: &Portion) {
    let Portion { total, used, offered, free } = portion;
    for (name, amounts) in [("total", total), ("used", used), ("offered", offered), ("free", free)] {
        if name != "total" && *amounts == Amounts::default() {
            continue;
        }
        let Amounts { totals, ports } = amounts;
        let ranges = ports.ranges().iter().map(|&(low, high)| match low == high {
            true => low.to_string(),
            false => format!("{low}-{high}"),
        });
        table.row([
            role.clone(),
            kind.clone(),
            name.into(),
            text::cpus(totals.cpus_milli),
            text::bytes(totals.mem),
            text::bytes(totals.disk),
            text::cpus(totals.gpus_milli),
            ranges.collect::<Vec<_>>().join(","),
            principal.clone(),
            labels.clone(),
        ]);
    }
}

fn labels(kept: &NodeReservation) -> String {
    let labels = kept.labels.iter().map(|label| match &label.value {
        Some(value) => format!("{}={value}", label.key),
        None => label.key.clone(),
    });
    labels.collect::<Vec<_>>().join(",")
}

fn volumes(node: &NodeDetail) -> Option<Table> {
    let mut table = Table::new(&["~VOLUME", "~KEPT FOR", ">SIZE", "STATE", "~BY", "?~DISK", "?~PATH"]);
    for volume in &node.volumes {
        let tasks: Vec<&str> = volume.tasks.iter().map(|task| task.as_str()).collect();
        let holder = match (tasks.is_empty(), &volume.framework) {
            (true, Some(framework)) => framework.to_string(),
            _ => tasks.join(","),
        };
        table.row([
            volume.id.clone(),
            volume.role.to_string(),
            text::bytes(volume.size),
            volume.state.name().into(),
            holder,
            volume.disk.as_ref().map(place).unwrap_or_default(),
            volume.container_path.clone(),
        ]);
    }
    (table.len() > 0).then_some(table)
}

fn disks(node: &NodeDetail) -> Option<Table> {
    let mut table = Table::new(&["<DISK", "KIND", ">SIZE", ">KEPT", ">USED", ">OFFERED", ">FREE"]);
    for disk in &node.disks {
        let [size, kept, used, offered, free] =
            [disk.size, disk.reserved, disk.used, disk.offered, disk.free].map(text::bytes);
        table.row([disk.place.root.clone(), disk.place.kind.name().into(), size, kept, used, offered, free]);
    }
    (table.len() > 0).then_some(table)
}

fn place(disk: &DiskPlace) -> String {
    format!("{} {}", disk.kind.name(), disk.root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn shown(node: &NodeDetail) -> String {
        tables(node).iter().map(|table| table.render(None)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn nothing_is_said_where_nothing_is_set_apart() {
        let plain = NodeDetail { reservations: vec![], volumes: vec![], disks: vec![], ..samples::divided() };
        assert_eq!(shown(&plain), "");
    }

    #[test]
    fn who_has_what_is_in_lines_of_their_own() {
        assert_eq!(
            shown(&samples::divided()),
            "KEPT FOR  MADE     PART   CPUS   MEM  DISK  GPUS  PORTS\n\
             anybody   -        total     1  512M  500M     0  31000-31089\n\
             anybody   -        used    0.5  256M     0     0  31005\n\
             anybody   -        free    0.5  256M  500M     0  31000-31004,31006-31089\n\
             db        dynamic  total     1  512M  300M     0  31090-31099\n\
             db        dynamic  used      0     0  100M     0  -\n\
             db        dynamic  free      1  512M  200M     0  31090-31099\n\
             \n\
             VOLUME  KEPT FOR  SIZE  STATE  BY    DISK  PATH\n\
             data    db        100M  used   db.1  -     data\n\
             \n\
             DISK       KIND   SIZE  KEPT  USED  OFFERED  FREE\n\
             /mnt/fast  mount  200M     0     0     200M     0\n"
        );
    }
}
