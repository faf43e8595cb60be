package store

// nextSuspect is the next that may run alone; what can not be run is dropped on the way.
func (w *world) nextSuspect(typ string) string {
	for len(w.alone[typ]) > 0 {
		l := w.alone[typ]
		id := l[len(l)-1]
		if j := w.jobs[id]; j == nil || j.script == "" {
			w.buryUnusable(id)
		} else if w.mayRun(id) {
			return id
		}
		drop(w.alone, typ, w.alone[typ][:len(w.alone[typ])-1])
	}
	w.noneAlone(typ)
	return ""
}

// noneAlone: who cleared its hand takes jobs again, and is told so.
func (w *world) noneAlone(typ string) {
	if who, ok := w.clearing[typ]; ok {
		delete(w.clearing, typ)
		if name, _ := splitMember(who); w.actors[name] != nil {
			w.ring(name)
		}
	}
}

// runsAlone: it went into the hand of an actor, which is full with it.
func (w *world) runsAlone(typ, id, name string) {
	drop(w.alone, typ, without(w.alone[typ], id))
	w.actors[name].alone = id
	if len(w.alone[typ]) == 0 {
		w.noneAlone(typ)
	}
}

// clears is who of a type takes no more until its hand is empty; member, if nobody who could.
func (w *world) clears(typ, member string) string {
	who := w.clearing[typ]
	name, inc := splitMember(who)
	if a := w.actors[name]; who != member && a != nil && a.open && a.inc == inc && len(w.held[inc]) > 0 {
		return who
	}
	w.clearing[typ] = member
	return member
}

// giveAlone hands jobs that run alone to empty hands; if there is none, one of the idle empties its own.
func (w *world) giveAlone(typ string, handed map[string]string) {
	var clears string
	idle := append([]string(nil), w.idle[typ]...)
	for i := len(idle) - 1; i >= 0; i-- {
		id := w.nextSuspect(typ)
		if id == "" {
			return
		}
		name, inc := splitMember(idle[i])
		a := w.actors[name]
		able := a != nil && a.open && a.inc == inc && a.typ == typ && len(w.held[inc]) < a.slots
		switch {
		case able && len(w.held[inc]) == 0:
			w.hand(id, name, inc, handed)
			w.runsAlone(typ, id, name)
			drop(w.idle, typ, without(w.idle[typ], idle[i]))
		case able && clears == "":
			clears = idle[i]
		}
	}
	if clears != "" && len(w.alone[typ]) > 0 && w.clears(typ, clears) == clears {
		drop(w.idle, typ, without(w.idle[typ], clears))
	}
}

// hand gives a job to an actor by its wake list.
func (w *world) hand(id, name, inc string, handed map[string]string) {
	w.start(id, name, inc)
	w.held[inc] = append(w.held[inc], id)
	w.wake[name] = append(w.wake[name], wakeJob(id, w.jobs[id].attempt))
	handed[id] = name
}

// takeAlone is an exchange's: a job for an empty hand, or whether the caller is full all the same.
func (w *world) takeAlone(typ, name, inc string) (id string, full bool) {
	if len(w.alone[typ]) == 0 {
		return "", false
	}
	if me := name + " " + inc; len(w.held[inc]) > 0 {
		return "", w.clears(typ, me) == me
	}
	if id = w.nextSuspect(typ); id == "" {
		return "", false
	}
	w.start(id, name, inc)
	w.held[inc] = append(w.held[inc], id)
	w.runsAlone(typ, id, name)
	return id, true
}
