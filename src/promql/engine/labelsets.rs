//! Label sets in order, in pieces that one list shares with the next.
//!
//! When a host is born, a list of a million label sets grows by some hundred. The pieces that stay
//! as they are stand in both lists, so that no label set in them is touched.
//!
//! Invariants: no piece is empty; where two lists share a piece, its elements have been found again.

use std::ops::Index;
use std::sync::Arc;

use crate::labels::Labels;

/// Elements of a piece, at most: few enough to copy for one that changes, and many enough that a list
/// of pieces is short.
const PIECE: usize = 512;

/// How often an older list may be looked through for elements that turn out to be new.
const LOOKS: usize = 8;

/// Label sets in order.
#[derive(Debug, Clone, Default)]
pub struct LabelSets {
    pieces: Vec<Arc<Vec<Labels>>>,
    /// Where each piece begins.
    starts: Vec<usize>,
    len: usize,
}

impl LabelSets {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &Labels> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The label set in a place.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&Labels> {
        let piece = self.starts.partition_point(|start| *start <= i).checked_sub(1)?;
        self.pieces[piece].get(i - self.starts[piece])
    }

    /// This list and another one behind it.
    pub(super) fn then(&self, other: &Self) -> Self {
        let mut both = self.clone();
        other.pieces.iter().for_each(|piece| both.share(piece));
        both
    }

    /// The list of `len` label sets, made with what is the same here.
    pub(super) fn followed<'a>(&self, len: usize, at: impl Fn(usize) -> &'a Labels) -> Self {
        let mut made = Self::default();
        for piece in &self.pieces {
            let from = made.len;
            let is_here =
                |(i, labels): (usize, &Labels)| from + i < len && at(from + i).is_same(labels);
            if piece.iter().enumerate().all(is_here) {
                made.share(piece);
                continue;
            }
            for labels in &**piece {
                if made.len < len && at(made.len).is_same(labels) {
                    made.extend([labels.clone()]);
                }
            }
        }
        made.extend((made.len..len).map(|i| at(i).clone()));
        made
    }

    /// This list with more behind it.
    pub(super) fn grown(&self, more: impl IntoIterator<Item = Labels>) -> Self {
        let mut made = self.clone();
        made.extend(more);
        made
    }

    /// Each label set changed by a function; `None` when that changes nothing. `older` is another
    /// list and `made` what the same function made of it, which is used again.
    pub(super) fn changed(
        &self,
        (older, made): (&Self, &Self),
        change: impl Fn(&Labels) -> Labels,
    ) -> Option<Self> {
        let mut search = Search::new(older);
        let mut all = Self { starts: self.starts.clone(), len: self.len, pieces: Vec::new() };
        for piece in &self.pieces {
            let found = search.find(piece);
            if let Found::Piece(k) = found
                && made.starts.get(k) == older.starts.get(k)
            {
                // Made of this very piece, as it begins and ends where that does.
                if made.pieces[k].len() == piece.len() {
                    all.pieces.push(Arc::clone(&made.pieces[k]));
                    continue;
                }
            }
            let changed =
                |(i, labels)| match found.place(older, i).and_then(|place| made.get(place)) {
                    Some(before) => before.clone(),
                    None => change(labels),
                };
            let changed: Vec<Labels> = piece.iter().enumerate().map(changed).collect();
            let same = changed.iter().zip(&**piece).all(|(new, old)| new.is_same(old));
            all.pieces.push(if same { Arc::clone(piece) } else { Arc::new(changed) });
        }
        let same = all.pieces.iter().zip(&self.pieces).all(|(new, old)| Arc::ptr_eq(new, old));
        (!same).then_some(all)
    }

    /// Whether an older list is the begin of this one: nothing has gone, and what is new stands
    /// behind. A list for which that is so may be denied it, never the other way round.
    pub(super) fn begins_with(&self, older: &Self) -> bool {
        let Some(last) = older.pieces.len().checked_sub(1) else {
            return true;
        };
        let whole = older.pieces[..last].iter().zip(&self.pieces);
        let Some(piece) = self.pieces.get(last) else {
            return false;
        };
        whole.into_iter().all(|(old, new)| Arc::ptr_eq(old, new))
            && piece.len() >= older.pieces[last].len()
            && older.pieces[last].iter().zip(&**piece).all(|(old, new)| old.is_same(new))
    }

    /// The elements from a place on.
    pub(super) fn since(&self, first: usize) -> impl Iterator<Item = &Labels> {
        let piece = self.starts.partition_point(|start| *start <= first).saturating_sub(1);
        let begin = self.starts.get(piece).copied().unwrap_or(0);
        self.pieces[piece..].iter().flat_map(|piece| piece.iter()).skip(first - begin)
    }

    /// For each element the place that it has in an older list, where it is found again.
    ///
    /// Elements are told by the identity of the label sets, not by their text, and looked for in
    /// order. Elements that were there may seem new, never the other way round.
    pub(super) fn places_in<'a>(
        &'a self,
        older: &'a Self,
    ) -> impl Iterator<Item = Option<usize>> + 'a {
        let mut search = Search::new(older);
        self.pieces.iter().flat_map(move |piece| {
            let found = search.find(piece);
            (0..piece.len()).map(move |i| found.place(older, i))
        })
    }

    fn share(&mut self, piece: &Arc<Vec<Labels>>) {
        self.starts.push(self.len);
        self.len += piece.len();
        self.pieces.push(Arc::clone(piece));
    }
}

impl Extend<Labels> for LabelSets {
    fn extend<T: IntoIterator<Item = Labels>>(&mut self, more: T) {
        for labels in more {
            match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
                // A piece that others share is copied first, once.
                Some(piece) => Arc::make_mut(piece).push(labels),
                None => {
                    self.starts.push(self.len);
                    self.pieces.push(Arc::new(vec![labels]));
                }
            }
            self.len += 1;
        }
    }
}

impl FromIterator<Labels> for LabelSets {
    fn from_iter<T: IntoIterator<Item = Labels>>(all: T) -> Self {
        Self::default().grown(all)
    }
}

impl From<Vec<Labels>> for LabelSets {
    fn from(all: Vec<Labels>) -> Self {
        all.into_iter().collect()
    }
}

impl Index<usize> for LabelSets {
    type Output = Labels;

    fn index(&self, i: usize) -> &Labels {
        self.get(i).expect("a place in the list")
    }
}

impl PartialEq for LabelSets {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

/// Where the elements of a piece are in an older list.
enum Found {
    /// All of them in this piece.
    Piece(usize),
    /// Each by itself, or nowhere.
    Places(Vec<Option<usize>>),
}

impl Found {
    fn place(&self, older: &LabelSets, i: usize) -> Option<usize> {
        match self {
            Self::Piece(piece) => Some(older.starts[*piece] + i),
            Self::Places(places) => places[i],
        }
    }
}

/// A search through an older list, from its begin to its end.
struct Search<'a> {
    older: &'a LabelSets,
    /// Before this place everything has been found or passed.
    next: usize,
    /// The piece that `next` is in.
    piece: usize,
    /// So many more elements may be looked at in vain.
    patience: usize,
}

impl<'a> Search<'a> {
    fn new(older: &'a LabelSets) -> Self {
        Self { older, next: 0, piece: 0, patience: LOOKS * older.len }
    }

    fn find(&mut self, piece: &Arc<Vec<Labels>>) -> Found {
        let begun = self.older.starts.get(self.piece).is_some_and(|start| *start < self.next);
        let first = self.piece + usize::from(begun);
        let rest = self.older.pieces.get(first..).unwrap_or_default();
        if let Some(ahead) = rest.iter().position(|old| Arc::ptr_eq(old, piece)) {
            self.piece = first + ahead + 1;
            self.next = self.older.starts[first + ahead] + piece.len();
            return Found::Piece(first + ahead);
        }
        Found::Places(piece.iter().map(|labels| self.find_one(labels)).collect())
    }

    fn find_one(&mut self, labels: &Labels) -> Option<usize> {
        let mut passed = 0;
        for (k, piece) in self.older.pieces.iter().enumerate().skip(self.piece) {
            if passed > self.patience {
                break;
            }
            let (start, end) = (self.older.starts[k], self.older.starts[k] + piece.len());
            let from = self.next.max(start) - start;
            match piece[from.min(piece.len())..].iter().position(|old| old.is_same(labels)) {
                Some(ahead) => {
                    self.next = start + from + ahead + 1;
                    self.piece = k + usize::from(self.next == end);
                    return Some(self.next - 1);
                }
                None => passed += piece.len() - from.min(piece.len()),
            }
        }
        self.patience = self.patience.saturating_sub(passed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(n: usize) -> Labels {
        Labels::from_pairs([("n", n.to_string())]).expect("distinct names")
    }

    /// Sets that stay where bits say so, and so many more.
    fn next(all: &[Labels], gone: &[usize], born: usize, count: &mut usize) -> Vec<Labels> {
        let stays = |i: &usize| !gone.iter().any(|from| (*from..from + 7).contains(i));
        let mut next: Vec<Labels> = (0..all.len()).filter(stays).map(|i| all[i].clone()).collect();
        next.extend((*count..*count + born).map(labels));
        *count += born;
        next
    }

    proptest! {
        /// Whatever is born and dies: the list is what it should be, every element that stays is
        /// found again, and what a function makes of it is the same as made anew.
        #[test]
        fn a_list_that_follows_is_the_list_made_anew(
            changes in proptest::collection::vec(
                (proptest::collection::vec(0usize..2_500, 0..4), 0usize..900), 1..8)
        ) {
            let (mut all, mut count) = (Vec::new(), 0);
            let (mut list, mut made) = (LabelSets::default(), LabelSets::default());
            let change = |labels: &Labels| match labels.get("n").ends_with('3') {
                true => labels.with("n", "three"),
                false => labels.clone(),
            };
            for (gone, born) in changes {
                let before = all.clone();
                all = next(&all, &gone, born, &mut count);
                let grown = list.grown(all[all.len() - born..].iter().cloned());
                let followed = list.followed(all.len(), |i| &all[i]);
                prop_assert!(followed.iter().eq(&all));
                let is_begin = all.len() >= before.len()
                    && before.iter().zip(&all).all(|(a, b)| a.is_same(b));
                prop_assert_eq!(followed.begins_with(&list), is_begin);
                for first in [0, all.len() / 2, all.len()] {
                    prop_assert!(followed.since(first).eq(&all[first..]));
                }
                if gone.is_empty() {
                    prop_assert!(grown.iter().eq(&all));
                }
                let places: Vec<_> = followed.places_in(&list).collect();
                for (labels, place) in all.iter().zip(&places) {
                    let was = before.iter().position(|old| old.is_same(labels));
                    prop_assert_eq!(*place, was);
                }
                let changed = followed.changed((&list, &made), change);
                made = changed.unwrap_or_else(|| followed.clone());
                prop_assert!(made.iter().eq(&all.iter().map(change).collect::<Vec<_>>()));
                list = followed;
                for (i, labels) in all.iter().enumerate() {
                    prop_assert!(list[i].is_same(labels));
                }
                prop_assert_eq!(list.get(all.len()), None);
            }
        }
    }

    #[test]
    fn what_stays_is_shared() {
        let all: Vec<Labels> = (0..3 * PIECE).map(labels).collect();
        let list = LabelSets::from(all.clone());
        let grown = list.grown([labels(9_999)]);
        assert_eq!((grown.len(), grown.pieces.len()), (3 * PIECE + 1, 4));
        assert!(grown.pieces.iter().zip(&list.pieces).all(|(a, b)| Arc::ptr_eq(a, b)));
        let fewer = list.followed(3 * PIECE - 1, |i| &all[i + usize::from(i >= PIECE)]);
        assert!(Arc::ptr_eq(&fewer.pieces[0], &list.pieces[0]));
        assert!(Arc::ptr_eq(&fewer.pieces[2], &list.pieces[2]));
    }

    #[test]
    fn elements_behind_new_ones_are_found_again() {
        let list: LabelSets = (0..2_000).map(labels).collect();
        let born: LabelSets = (5_000..5_003).map(labels).collect();
        let both = born.then(&list.iter().cloned().collect());
        let places: Vec<_> = both.places_in(&list).collect();
        assert_eq!(places[..4], [None, None, None, Some(0)]);
        assert!(places[3..].iter().flatten().copied().eq(0..2_000));
    }
}
