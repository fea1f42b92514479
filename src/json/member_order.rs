use super::string::{KeyOrderCheck, compare};
use super::{ParseError, Scanner};

/// Sorts the members of every object whose keys are not in order. One pass over the text does that for all levels;
/// sorting while writing would copy nested objects once for each object around them.
#[derive(Default)]
pub(super) struct MemberOrder {
    /// Sorted by where they begin.
    objects: Vec<UnorderedObject>,
    /// Where the members of these objects begin, in key order. Of equal keys only the last counts.
    members: Vec<u32>,
}

struct UnorderedObject {
    begin: u32,
    /// Its part of `members`.
    first: u32,
    end: u32,
}

impl MemberOrder {
    /// Passes over the container that the scanner stands at. [`ParseError::TooLarge`] beyond `room` bytes.
    pub(super) fn of(scanner: &mut Scanner<'_>, is_root: bool, room: usize) -> Result<Self, ParseError> {
        let mut search = Search { order: Self::default(), open: Vec::new(), room };
        if is_root {
            search.object(scanner, 0)?
        } else {
            search.value(scanner, 0)?
        }
        search.order.objects.sort_unstable_by_key(|object| object.begin);
        Ok(search.order)
    }

    /// The members of the object that begins there; `None`: they are in order as they stand.
    pub(super) fn of_object(&self, begin: usize) -> Option<&[u32]> {
        let found = self.objects.binary_search_by_key(&begin, |object| object.begin as usize).ok()?;
        let UnorderedObject { first, end, .. } = self.objects[found];
        Some(&self.members[first as usize..end as usize])
    }
}

struct Search {
    order: MemberOrder,
    /// Where the members begin of all objects that are still open.
    open: Vec<u32>,
    room: usize,
}

impl Search {
    /// `depth` containers are open around the value, the root object not counted.
    fn value(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        match scanner.peek() {
            b'{' => {
                scanner.check_depth(depth)?;
                self.object(scanner, depth + 1)
            }
            b'[' => {
                scanner.check_depth(depth)?;
                self.array(scanner, depth + 1)
            }
            _ => scanner.scalar().map(drop),
        }
    }

    fn array(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        if scanner.enter(b']') {
            loop {
                self.value(scanner, depth)?;
                if !scanner.next_element(b']')? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        let (begin, first) = (scanner.position(), self.open.len());
        if scanner.enter(b'}') {
            let mut order = KeyOrderCheck::new(scanner.text());
            loop {
                push(&mut self.open, scanner.position() as u32)?;
                self.check_room()?;
                let key = scanner.key()?;
                if key.escaped && depth == 0 {
                    scanner.check_unicode(key)?;
                }
                order.take(key);
                self.value(scanner, depth)?;
                if !scanner.next_element(b'}')? {
                    break;
                }
            }
            if !order.holds {
                self.sort(scanner.text(), begin, first)?;
            }
            self.open.truncate(first);
        }
        Ok(())
    }

    /// Sorts the object that began at `begin`, whose members are the open ones from `first`.
    fn sort(&mut self, text: &str, begin: usize, first: usize) -> Result<(), ParseError> {
        let order = |left: u32, right: u32| compare(&text[left as usize + 1..], &text[right as usize + 1..]);
        self.open[first..].sort_unstable_by(|left, right| order(*left, *right).then(left.cmp(right)));
        let mut end = first;
        for at in first..self.open.len() {
            if self.open.get(at + 1).is_none_or(|next| order(self.open[at], *next).is_ne()) {
                self.open[end] = self.open[at];
                end += 1;
            }
        }
        self.open.truncate(end);
        let members = &mut self.order.members;
        let moved = members.len() as u32;
        let object = UnorderedObject { begin: begin as u32, first: moved, end: moved + (end - first) as u32 };
        if first == 0 && members.is_empty() {
            // A large file of simple flags ends here: no second list.
            std::mem::swap(members, &mut self.open);
        } else {
            members.try_reserve(end - first).map_err(|_| ParseError::OutOfMemory)?;
            members.extend_from_slice(&self.open[first..]);
        }
        push(&mut self.order.objects, object)?;
        self.check_room()
    }

    fn check_room(&self) -> Result<(), ParseError> {
        let members = self.open.len() + self.order.members.len();
        let taken = members * size_of::<u32>() + self.order.objects.len() * size_of::<UnorderedObject>();
        if taken > self.room { Err(ParseError::TooLarge) } else { Ok(()) }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), ParseError> {
    list.try_reserve(1).map_err(|_| ParseError::OutOfMemory)?;
    list.push(item);
    Ok(())
}
