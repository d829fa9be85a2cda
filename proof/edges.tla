------------------------------- MODULE edges -------------------------------
(* The model of the queue, which prints each of its edges: the action, what it names, and the rows before and after.
   It also prints what it refuses: then the rows after are those before. *)
EXTENDS queue
CONSTANT Most  \* states that are drawn; of each depth some, and of the others every tenth
Rows(r) == {<<d, r[d].status, r[d].due, r[d].by, r[d].tries>> : d \in {e \in Deliveries :
                                                                      r[e].status \notin {"none", "pruned"}}}
Seen(c) == {<<x, c[x].last, c[x].ends, c[x].gone>> : x \in Comments}
Open(o) == {h \in Hooks : o[h]}
Say(action, named) == PrintT(ToString(<<action, named, Rows(row), Seen(comment), Open(open),
                                        Rows(row'), Seen(comment'), Open(open')>>))
Task(p) == {<<t.row, t.token, t.state>> : t \in hand[p]}
Left(p) == {t.left : t \in hand[p]}
Plain(action, named) == PrintT(ToString(<<action, named, {}, {}, {}, {}, {}, {}>>))  \* It changes no row.
Refused == /\ UNCHANGED vars
           /\ \/ \E p \in Passes : hand[p] = {} /\ ~(\E d \in Deliveries : ENABLED Claim(p, d)) /\ Say("Claim", <<p>>)
              \/ \E p \in Passes, t \in hand[0] \cup hand[1] :
                    t \in hand[p] /\ t.state = "held" /\ t.left = 0 /\ Plain("Send", <<"ok", {0}>>)
              \/ \E d \in Deliveries : faults < Faults /\ ~ENABLED Redeliver(d) /\ Say("Redeliver", <<d>>)
Edges == \/ \E p \in Passes : \/ Crash(p) /\ Plain("Crash", <<>>)
                              \/ Record(p) /\ Say("Record", <<p, Task(p)>>)
                              \/ Release(p) /\ Say("Release", <<p, Task(p)>>)
                              \/ \E a \in {"ok", "fail", "gone"} : Send(p, a) /\ Plain("Send", <<a, Left(p)>>)
                              \/ \E d \in Deliveries : Claim(p, d) /\ Say("Claim", <<p, d>>)
         \/ \E d \in Deliveries : \/ Redeliver(d) /\ Say("Redeliver", <<d>>)
                                  \/ Prune(d) /\ Say("Prune", <<d>>)
         \/ \E c \in Comments : \/ Publish(c) /\ Say("Publish", <<c>>)
                                \/ Delete(c) /\ Say("Delete", <<c>>)
                                \/ Erase(c) /\ Say("Erase", <<c>>)
         \/ (Tick /\ Plain("Tick", <<>>)) \/ (ClockStep /\ Plain("ClockStep", <<>>)) \/ (ClockBack /\ Say("ClockBack", <<>>))
         \/ \E h \in Hooks : (Disable(h) /\ Say("Disable", <<h>>)) \/ (Enable(h) /\ Say("Enable", <<h>>))
Lucky == TLCGet("distinct") < Most /\ (TLCGet("queue") < 5 + Most \div 400 \/ RandomElement(1..10) = 1)
Drawn == Init /\ [][Edges /\ Lucky]_vars
Whole == Init /\ [][Edges \/ Refused]_vars
=============================================================================
