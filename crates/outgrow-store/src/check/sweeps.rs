//! Sweeps against their own text: it gives the sweep's identity, its places, and the definition of
//! every trial.

use std::collections::{BTreeSet, HashMap};

use outgrow_core::{
    Sweep, Trial,
    sweep::{Member, in_order, shared_prefixes},
};

use super::{
    finding::Finding,
    walk::{Told, Walk, defined, identity},
};
use crate::{
    Round, StoreError,
    driver::{Cell, Row, args},
    estimates,
    insert::{member_row, new_trial},
    schema::{MEMBER, TRIAL},
};

impl Walk<'_> {
    pub(super) async fn sweeps(&mut self) -> Result<(), StoreError> {
        let ids: Vec<String> =
            self.tx.column("SELECT id FROM sweep ORDER BY created_at, id", &[]).await?;
        for (number, id) in ids.iter().enumerate() {
            (self.tell)(&format!("sweep {} of {}", number + 1, ids.len()));
            self.sweep(id).await?;
        }
        Ok(())
    }

    async fn sweep(&mut self, id: &str) -> Result<(), StoreError> {
        self.report.sweeps += 1;
        let row = "SELECT name, spec, data_digest FROM sweep WHERE id = $1";
        let row = self.tx.row(row, args![id]).await?;
        let [name, spec, data] =
            [0, 1, 2].map(|column| row.as_ref().and_then(|row| row.get::<String>(column).ok()));
        let name = name.unwrap_or_default();
        let whole = spec.zip(data).filter(|(spec, data)| identity(&[spec, data]) == id);
        let Some((spec, data)) = whole else { return self.forget_sweep(id, name).await };
        let understood =
            Sweep::parse(&spec).ok().and_then(|sweep| Some((sweep.members(&data).ok()?, sweep)));
        let Some((members, sweep)) = understood else {
            self.report.unknown.push(name);
            return Ok(());
        };
        self.name(id, &name, &sweep.spec().name).await?;
        let order = self.trained(id, &sweep, &members).await?;
        if self.is_of_another_version(id, &order).await? {
            self.report.unknown.push(name);
            return Ok(());
        }
        let numbers = self.trials_of(id, &order).await?;
        self.places(id, &name, &order, &numbers).await?;
        let round = Round::of(&sweep);
        let all = order.into_iter().zip(numbers);
        let (order, numbers): (Vec<&Member>, Vec<Option<i64>>) =
            all.filter(|(member, _)| round.shares(member)).unzip();
        self.shared_prefixes(id, &name, &order, &numbers).await
    }

    /// Of the trials that a sweep may have, those that it begins with, and those that have followed;
    /// in order.
    async fn trained<'a>(
        &mut self,
        id: &str,
        sweep: &Sweep,
        members: &'a [Member],
    ) -> Result<Vec<&'a Member>, StoreError> {
        let mut places = sweep.first_round(members);
        if sweep.has_rounds() {
            // A damaged place is told by its trial, and a damaged trial by its place.
            let there =
                "SELECT m.position, t.id FROM member m LEFT JOIN trial t ON t.number = m.trial
                         WHERE m.sweep_id = $1";
            let row = |row: Row| Ok((row.get::<usize>(0).ok(), row.get::<String>(1).ok()));
            let there = self.tx.map(there, args![id], row).await?;
            let mut of: HashMap<String, Vec<usize>> = HashMap::new();
            for member in members {
                of.entry(member.trial.id()).or_default().push(member.position);
            }
            for (place, trial) in there {
                match trial.and_then(|trial| of.get(&trial)) {
                    Some(own) if place.is_none_or(|place| !own.contains(&place)) => {
                        places.extend(own);
                    }
                    _ => places.extend(place),
                }
            }
        }
        let mut order = in_order(members);
        order.retain(|member| places.contains(&member.position));
        Ok(order)
    }

    async fn name(&mut self, id: &str, found: &str, expected: &str) -> Result<(), StoreError> {
        if found == expected {
            return Ok(());
        }
        let [sweep, found, named] = [id, found, expected].map(String::from);
        self.found(Finding::SweepName { sweep, found, expected: named });
        self.mend("UPDATE sweep SET name = $1 WHERE id = $2", args![expected, id]).await
    }

    async fn forget_sweep(&mut self, id: &str, name: String) -> Result<(), StoreError> {
        self.found(Finding::SweepText { sweep: id.into(), name });
        for table in ["member", "shared_prefix"].into_iter().chain(estimates::TABLES) {
            self.mend(&format!("DELETE FROM {table} WHERE sweep_id = $1"), args![id]).await?;
        }
        self.mend("DELETE FROM sweep WHERE id = $1", args![id]).await
    }

    /// Whether the text means none of the trials that its places have, and these are whole: then
    /// another version read it otherwise.
    async fn is_of_another_version(
        &mut self,
        id: &str,
        order: &[&Member],
    ) -> Result<bool, StoreError> {
        let expected: BTreeSet<String> = order.iter().map(|member| member.trial.id()).collect();
        let trials = "SELECT t.number, t.id, t.definition FROM trial t
                      WHERE t.number IN (SELECT trial FROM member WHERE sweep_id = $1) ORDER BY \
                      t.number";
        let (mut whole, mut known) = (0, 0);
        let count = |row: Row| {
            let id: String = row.get(1).unwrap_or_default();
            whole += u64::from(defined(&row, &id).is_some());
            known += u64::from(expected.contains(&id));
            Ok(())
        };
        self.tx.map(trials, args![id], count).await?;
        Ok(whole > 0 && known == 0)
    }

    /// The numbers of a sweep's trials, in order; those that are not there, or not whole, are made
    /// anew.
    async fn trials_of(
        &mut self,
        id: &str,
        order: &[&Member],
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let mut numbers = vec![];
        for member in order {
            let number = match self.whole_trial(&member.trial).await? {
                Some(number) => Some(number),
                None => self.trial_of_place(id, member.position, &member.trial).await?,
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The number of the trial of that identity; its definition is mended.
    async fn whole_trial(&mut self, trial: &Trial) -> Result<Option<i64>, StoreError> {
        let found = "SELECT number, id, definition FROM trial WHERE id = $1";
        let Some(row) = self.tx.row(found, args![trial.id()]).await? else { return Ok(None) };
        let number = row.get(0)?;
        if defined(&row, &trial.id()).is_none() && !self.told.contains_key(&number) {
            self.restore(number, trial).await?;
        }
        Ok(Some(number))
    }

    /// The number of the trial that a place names, if that is damaged or not there, and so may be
    /// this one.
    async fn trial_of_place(
        &mut self,
        sweep: &str,
        position: usize,
        trial: &Trial,
    ) -> Result<Option<i64>, StoreError> {
        let told =
            self.told.iter().find(|(_, told)| told.trial == *trial).map(|(number, _)| *number);
        if told.is_some() {
            return Ok(told);
        }
        let named = "SELECT m.trial, t.id, t.definition FROM member m LEFT JOIN trial t ON \
                     t.number = m.trial
                     WHERE m.sweep_id = $1 AND m.position = $2";
        let row = self.tx.row(named, args![sweep, position]).await?;
        let number = |row: &Row| row.get(0).ok().filter(|number| !self.told.contains_key(number));
        let Some((row, number)) = row.and_then(|row| number(&row).map(|number| (row, number)))
        else {
            return self.enter(None, trial).await;
        };
        match row.get::<String>(1) {
            // No such trial.
            _ if row.0[1] == Cell::Null => self.enter(Some(number), trial).await,
            Ok(id) if defined(&row, &id).is_some() => self.enter(None, trial).await,
            _ => {
                self.restore(number, trial).await?;
                Ok(Some(number))
            }
        }
    }

    /// Takes the sweep's word for a trial that the table has not, or not whole.
    async fn tell(&mut self, number: i64, trial: &Trial, missing: bool) -> Result<(), StoreError> {
        let which = self.which(number, trial.id()).await?;
        self.found(Finding::Definition { trial: which });
        self.told.insert(number, Told { trial: trial.clone(), missing });
        Ok(())
    }

    /// Gives a trial its identity and its definition again.
    async fn restore(&mut self, number: i64, trial: &Trial) -> Result<(), StoreError> {
        self.tell(number, trial, false).await?;
        let definition = serde_json::to_string(trial).expect("a trial is plain data");
        let anew = "UPDATE trial SET id = $1, definition = $2 WHERE number = $3";
        self.mend(anew, args![trial.id(), definition, number]).await
    }

    /// Enters a trial that is not there, under its old number if that is known; gives its number.
    async fn enter(
        &mut self,
        number: Option<i64>,
        trial: &Trial,
    ) -> Result<Option<i64>, StoreError> {
        if let Some(number) = number {
            self.tell(number, trial, true).await?;
        }
        if !self.mends {
            return Ok(number);
        }
        TRIAL.insert(&mut self.tx, &[new_trial(trial)]).await?;
        let given = "SELECT number FROM trial WHERE id = $1";
        let given: i64 = self.tx.value(given, args![trial.id()]).await?;
        let number = number.unwrap_or(given);
        let old = "UPDATE trial SET number = $1 WHERE number = $2";
        self.mend(old, args![number, given]).await?;
        Ok(Some(number))
    }

    async fn places(
        &mut self,
        id: &str,
        name: &str,
        order: &[&Member],
        numbers: &[Option<i64>],
    ) -> Result<(), StoreError> {
        let mut wrong = 0;
        let place = "SELECT trial, strategy, kind, plan, replicate, learning_rate, setting, budget,
                            tuning
                     FROM member WHERE sweep_id = $1 AND position = $2";
        for (member, number) in order.iter().zip(numbers) {
            let row = self.tx.row(place, args![id, member.position]).await?;
            wrong += u64::from(!row.is_some_and(|row| is_place_of(&row, member, *number)));
        }
        let all = "SELECT count(*) FROM member WHERE sweep_id = $1";
        let all = self.tx.value::<u64>(all, args![id]).await?;
        wrong += all.saturating_sub(order.len() as u64);
        if wrong > 0 {
            self.found(Finding::Places { sweep: id.into(), name: name.into(), rows: wrong });
            self.write_places(id, order, numbers).await?;
        }
        Ok(())
    }

    async fn write_places(
        &mut self,
        id: &str,
        order: &[&Member],
        numbers: &[Option<i64>],
    ) -> Result<(), StoreError> {
        if self.mends {
            self.mend("DELETE FROM member WHERE sweep_id = $1", args![id]).await?;
            let places = order.iter().zip(numbers);
            let rows =
                places.filter_map(|(member, number)| Some(member_row(id, member, (*number)?)));
            MEMBER.insert(&mut self.tx, &rows.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Trials that begin as others: those that are noted must be right; none must be noted.
    async fn shared_prefixes(
        &mut self,
        id: &str,
        name: &str,
        order: &[&Member],
        numbers: &[Option<i64>],
    ) -> Result<(), StoreError> {
        let right = right_prefixes(order, numbers);
        let noted = "SELECT trial, parent, step FROM shared_prefix WHERE sweep_id = $1";
        let read = |row: Row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<u64>(2).unwrap_or(u64::MAX)))
        };
        let mut wrong = self.tx.map(noted, args![id], read).await?;
        wrong.retain(|one| !right.contains(one));
        if !wrong.is_empty() {
            let (sweep, name, rows) = (id.into(), name.into(), wrong.len() as u64);
            self.found(Finding::SharedPrefixes { sweep, name, rows });
        }
        for (trial, ..) in wrong {
            let forgotten = "DELETE FROM shared_prefix WHERE sweep_id = $1 AND trial = $2";
            self.mend(forgotten, args![id, trial]).await?;
        }
        Ok(())
    }
}

/// Which trial begins as which other, by their numbers, and for how many steps.
fn right_prefixes(order: &[&Member], numbers: &[Option<i64>]) -> BTreeSet<(i64, i64, u64)> {
    let trials: Vec<&Trial> = order.iter().map(|member| &member.trial).collect();
    let shared = shared_prefixes(&trials).into_iter().zip(numbers);
    shared
        .filter_map(|(prefix, own)| {
            let prefix = prefix?;
            Some(((*own)?, numbers[prefix.of]?, prefix.step))
        })
        .collect()
}

fn is_place_of(row: &Row, member: &Member, number: Option<i64>) -> bool {
    let text = |column| row.get::<String>(column).ok();
    let count = |column| row.get::<usize>(column).ok();
    number.is_some()
        && row.get::<i64>(0).ok() == number
        && text(1).as_ref() == Some(&member.strategy)
        && text(2).as_deref() == Some(member.kind)
        && (count(3), count(4)) == (Some(member.plan), Some(member.replicate))
        && row.get::<f64>(5).ok() == Some(member.trial.settings.training.learning_rate)
        && text(6).as_ref() == Some(&member.setting)
        && row.get::<Option<f64>>(7).ok() == Some(member.budget)
        && row.get::<bool>(8).ok() == Some(member.tuning)
}
