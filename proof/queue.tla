------------------------------- MODULE queue -------------------------------
(* The queue of deliveries, as guestbook/queue and guestbook/outbound work it. A row is due for a pass when its
   `due` is at most the pass's clock. Times are counted from now on, so they shrink as time passes. The clock of
   pass 1 is ahead by the margin of CLOCK_SKEW; those of pass 0 and of the web server are right. *)
EXTENDS FiniteSets, Integers, TLC
CONSTANTS Hooks, Comments, Events, Tries, Faults, Skew  \* all events and faults; attempts of a delivery; 0 or 1
VARIABLES row,      \* of each delivery: status, due, by (a token or 0), tries, got (its receiver has it)
          comment,  \* of each comment: last (sequence), ends (those of comment.deleted), gone (erased)
          hand,     \* of each pass: the tasks that it has claimed
          open,     \* of each webhook: it is not disabled
          top, ended,  \* of each webhook and comment: the last sequence begun; the highest comment.deleted begun
          faults    \* how many there were
vars == <<row, comment, hand, open, top, ended, faults>>
Passes == 0..1  Lease == 1  Wait == 1  \* until a retry
Clock(p) == p * Skew
Deliveries == Hooks \X Comments \X (1..Events)
Pair(d) == <<d[1], d[2]>>
Line(d) == {e \in Deliveries : Pair(e) = Pair(d)}
Max(a, b) == IF a > b THEN a ELSE b  Min(a, b) == IF a < b THEN a ELSE b
Highest(s) == IF s = {} THEN 0 ELSE CHOOSE x \in s : \A y \in s : x >= y
Waits(d) == row[d].status = "new"
IsNext(d) == \A e \in Line(d) : e[3] < d[3] => ~Waits(e)
IsEnd(d) == d[3] \in comment[d[2]].ends
Untried(d) == IsEnd(d) /\ row[d].tries = 0
Over(d) == (\E n \in comment[d[2]].ends : n > d[3]) \/ (comment[d[2]].gone /\ ~IsEnd(d))
Tasks(d) == {t \in hand[0] \cup hand[1] : t.row = d}
Owned(t) == row[t.row].by = t.token
Fault == faults < Faults /\ faults' = faults + 1
Happened == Cardinality({x \in Comments \X (1..Events) : x[2] <= comment[x[1]].last})
Now(r, status) == [r EXCEPT !.status = status, !.due = 0, !.by = 0]
Init == /\ row = [d \in Deliveries |-> [status |-> "none", due |-> 0, by |-> 0, tries |-> 0, got |-> FALSE]]
        /\ comment = [c \in Comments |-> [last |-> 0, ends |-> {}, gone |-> FALSE]]
        /\ hand = [p \in Passes |-> {}] /\ open = [h \in Hooks |-> TRUE]
        /\ top = [x \in Hooks \X Comments |-> 0] /\ ended = top /\ faults = 0

(* A pass: claims.take, attempt_sender, attempt_recorder.record with hold_back, claims.release; faults, time *)
Claim(p, d) ==
    /\ Waits(d) /\ row[d].due <= Clock(p) /\ open[d[1]] /\ hand[p] = {} /\ IsNext(d)
    /\ LET until == Clock(p) + Lease + Skew
           token == CHOOSE k \in 1..9 : /\ \A t \in Tasks(d) : t.token # k
                                        /\ \A m \in 1..(k - 1) : \E t \in Tasks(d) : t.token = m
       IN /\ row' = [row EXCEPT ![d].due = until, ![d].by = token]
          /\ hand' = [hand EXCEPT ![p] = {[row |-> d, token |-> token, left |-> Lease, state |-> "held"]}]
    /\ UNCHANGED <<comment, open, top, ended, faults>>
Send(p, answer) == \E t \in hand[p] :
    /\ t.state = "held" /\ t.left > 0
    /\ IF answer = "gone" THEN Fault ELSE UNCHANGED faults
    /\ hand' = [hand EXCEPT ![p] = (@ \ {t}) \cup {[t EXCEPT !.state = answer, !.left = 0]}]
    /\ row' = [row EXCEPT ![t.row].got = @ \/ answer = "ok"]
    /\ top' = [top EXCEPT ![Pair(t.row)] = t.row[3]]
    /\ ended' = [ended EXCEPT ![Pair(t.row)] = IF IsEnd(t.row) THEN Max(@, t.row[3]) ELSE @]
    /\ UNCHANGED <<comment, open>>
Failed(p, t, d) ==
    LET made == Min(row[t.row].tries + 1, Tries)
        again == made < Tries \/ t.state = "gone"
        due == IF made < Tries THEN Clock(p) + Wait ELSE Clock(p)
        last == [Now(row[d], IF again THEN "new" ELSE "failed") EXCEPT !.tries = made]
    IN IF d = t.row THEN IF again THEN [last EXCEPT !.due = due] ELSE last
       ELSE IF again /\ d \in Line(t.row) /\ d[3] > t.row[3] /\ Waits(d) /\ row[d].by = 0
       THEN [row[d] EXCEPT !.due = Max(@, due)] ELSE row[d]
Record(p) == \E t \in hand[p] :
    /\ Owned(t) /\ t.state # "held" /\ hand' = [hand EXCEPT ![p] = @ \ {t}]
    /\ row' = IF t.state = "ok" THEN [row EXCEPT ![t.row] = Now(@, "processed")]
              ELSE [d \in Deliveries |-> Failed(p, t, d)]
    /\ open' = [open EXCEPT ![t.row[1]] = @ /\ t.state # "gone"]
    /\ UNCHANGED <<comment, top, ended, faults>>
Release(p) == \E t \in hand[p] :  \* Nothing was sent, or its lease is lost, so it is dropped.
    /\ t.state = "held" \/ ~Owned(t)
    /\ hand' = [hand EXCEPT ![p] = @ \ {t}]
    /\ row' = IF Owned(t) THEN [row EXCEPT ![t.row] = Now(@, "new")] ELSE row
    /\ UNCHANGED <<comment, open, top, ended, faults>>

Crash(p) == /\ hand[p] # {} /\ Fault /\ hand' = [hand EXCEPT ![p] = {}]
            /\ UNCHANGED <<row, comment, open, top, ended>>
After(time) == /\ \E d \in Deliveries : row[d].due > 0
               /\ row' = [d \in Deliveries |-> [row[d] EXCEPT !.due = Max(0, @ - time)]]
               /\ UNCHANGED <<comment, open, top, ended>>
Shorter(tasks, time) == {[t EXCEPT !.left = Max(0, @ - time)] : t \in tasks}
Tick == After(1) /\ UNCHANGED faults /\ hand' = [p \in Passes |-> Shorter(hand[p], 1)]
ClockStep == /\ After(9) /\ Fault  \* Clocks are set forward. A task asks its clock, too, for its lease.
             /\ hand' = [p \in Passes |-> Shorter(hand[p], 9)]

ClockBack == /\ Fault  \* Clocks are set back, and clock_repair frees the leases.
             /\ hand' = [p \in Passes |-> Shorter(hand[p], Lease)]
             /\ row' = [d \in Deliveries |-> IF Waits(d) THEN Now(row[d], "new") ELSE row[d]]
             /\ UNCHANGED <<comment, open, top, ended>>

(* Visitors and owners: event_publisher, deleted_comments, redelivery, retention_rules *)
Add(c, hooks, is_end, gone, status(_), due(_)) ==
    LET n == comment[c].last + 1  ends == comment[c].ends \cup (IF is_end THEN {n} ELSE {}) IN
    /\ Happened < Events /\ ~comment[c].gone
    /\ comment' = [comment EXCEPT ![c] = [last |-> n, ends |-> ends, gone |-> gone]]
    /\ row' = [d \in Deliveries |->
               IF d[2] = c /\ d[3] = n /\ d[1] \in hooks THEN [row[d] EXCEPT !.status = "new", !.due = due(d)]
               ELSE IF d[2] = c /\ status(d) # row[d].status THEN Now(row[d], status(d)) ELSE row[d]]
    /\ UNCHANGED <<hand, open, top, ended, faults>>
BehindRetry(d) == Highest({row[e].due : e \in {x \in Line(d) : Waits(x) /\ row[x].by = 0}})
UnderWay(d) == LET these == {e \in Line(d) : Waits(e) /\ (row[e].by # 0 \/ Untried(e))}
               IN Highest({Min(row[e].due, Lease + Skew) : e \in these})
Same(d) == row[d].status
Superseded(d) == IF row[d].status \in {"new", "failed"} THEN "erased" ELSE row[d].status
Erased(d) == IF row[d].status \in {"new", "failed", "processed"} THEN "erased" ELSE row[d].status
Known(c) == comment[c].last > 0 /\ comment[c].last \notin comment[c].ends
Publish(c) == ~comment[c].gone /\ Add(c, Hooks, FALSE, FALSE, Same, BehindRetry)
Delete(c) == Known(c) /\ Add(c, Hooks, TRUE, FALSE, Superseded, UnderWay)
Erase(c) == LET unaware == {h \in Hooks : Same(<<h, c, comment[c].last>>) \notin {"processed", "pruned"}}
            IN comment[c].last > 0 /\ Add(c, IF Known(c) THEN Hooks ELSE unaware, TRUE, TRUE, Erased, UnderWay)
Redeliver(d) ==
    LET these == {e \in Line(d) : e[3] >= d[3] /\ Same(e) \in {"new", "processed", "failed"}}
    IN /\ d \in these /\ ~Over(d) /\ Fault
       /\ \A e \in these : row[e].due > 0 => row[e].by = 0
       /\ \A e \in these : row[e].due > 0 => ~Untried(e)
       /\ row' = [e \in Deliveries |-> IF e \in these THEN [Now(row[e], "new") EXCEPT !.tries = 0] ELSE row[e]]
       /\ top' = [top EXCEPT ![Pair(d)] = Min(@, d[3] - 1)]
       /\ UNCHANGED <<comment, hand, open, ended>>
Prune(d) == /\ Same(d) \in {"processed", "failed", "erased"} /\ Tasks(d) = {} /\ Fault
            /\ row' = [row EXCEPT ![d] = Now(@, "pruned")]
            /\ UNCHANGED <<comment, hand, open, top, ended>>
Disable(h) == /\ open[h] /\ Fault /\ open' = [open EXCEPT ![h] = FALSE]
              /\ UNCHANGED <<row, comment, hand, top, ended>>
Enable(h) == /\ ~open[h] /\ open' = [open EXCEPT ![h] = TRUE]
             /\ UNCHANGED <<row, comment, hand, top, ended, faults>>

Next == \/ \E p \in Passes : Crash(p) \/ Record(p) \/ Release(p) \/ \E a \in {"ok", "fail", "gone"} : Send(p, a)
        \/ \E d \in Deliveries : Redeliver(d) \/ Prune(d) \/ \E p \in Passes : Claim(p, d)
        \/ \E c \in Comments : Publish(c) \/ Delete(c) \/ Erase(c)
        \/ Tick \/ ClockStep \/ ClockBack \/ \E h \in Hooks : Disable(h) \/ Enable(h)
Spec == Init /\ [][Next]_vars
FairSpec == Spec /\ WF_vars(Tick) /\ \A h \in Hooks : WF_vars(Enable(h))  \* A pass comes again and again.
            /\ SF_vars(\E p \in Passes, d \in Deliveries : Claim(p, d)) /\ WF_vars(\E p \in Passes : Release(p))
            /\ SF_vars(\E p \in Passes : Send(p, "ok") \/ Send(p, "fail")) /\ SF_vars(\E p \in Passes : Record(p))

(* What must hold *)
NothingLost == \A d \in Deliveries : LET r == row[d] IN
    CASE r.status = "none" -> d[3] > comment[d[2]].last \/ comment[d[2]].gone
      [] r.status = "new" -> TRUE [] r.status = "processed" -> r.got [] r.status = "failed" -> r.tries = Tries
      [] OTHER -> r.got \/ r.tries = Tries \/ Over(d)
NoTwoLiveLeases == \A p \in Passes : \A t \in hand[p] : t.left > 0 => Owned(t) \/ Same(t.row) = "erased"
NewestLast == \A d \in Deliveries :
    Same(d) = "processed" /\ (\A e \in Line(d) : ~Waits(e)) => d[3] <= top[Pair(d)]
Begins(p, t) == t.state = "held" /\ \E u \in hand'[p] : u.state # "held"
EachBeginsFrom(sequence) == \A p \in Passes : \A t \in hand[p] : Begins(p, t) => sequence[Pair(t.row)] <= t.row[3]
InOrder == [][EachBeginsFrom(top)]_vars
NothingAfterDeletion == [][EachBeginsFrom(ended)]_vars
NoRecordUnderLostLease == [][\A d \in Deliveries :
    (row'[d].status # Same(d) /\ row'[d].status \in {"processed", "failed"}) \/ row'[d].tries > row[d].tries
    => \E p \in Passes : \E t \in hand[p] \ hand'[p] : t.row = d /\ t.token = row[d].by]_vars
EachEnds == \A d \in Deliveries : Waits(d) ~> ~Waits(d)
Alike == Permutations(Hooks) \cup Permutations(Comments)
=============================================================================
