package actor

import (
	"fmt"

	"herosup/dispatch/store"
)

// step is what the loop does next.
type step string

const (
	stepHello  step = "hello"
	stepClaim  step = "claim"
	stepWait   step = "wait"
	stepWork   step = "work"
	stepFinish step = "finish"
)

// afterHello decides on the answer of hello; told is false while a result waits to be told.
func afterHello(code store.Code, told bool) (step, error) {
	switch {
	case code == store.Superseded:
		return "", ErrSuperseded
	case code != store.OK:
		return "", unexpected("hello", code)
	case !told:
		return stepFinish, nil
	}
	return stepClaim, nil
}

// afterTake decides on the answer of a call that may take a job: claim, and finish with its next.
func afterTake(call string, code store.Code) (step, error) {
	switch code {
	case store.GotJob:
		return stepWork, nil
	case store.Idle, store.Closed: // opening the gate rings
		return stepWait, nil
	case store.Again, store.NotWanted:
		return stepClaim, nil
	case store.Unregistered:
		return stepHello, nil
	}
	return "", unexpected(call, code)
}

// afterFinish decides on the answer of finish. dropped says that the result counted for nothing.
func afterFinish(code, next store.Code) (then step, dropped bool, err error) {
	switch code {
	case store.OK:
		then, err = afterTake("finish", next)
		return then, false, err
	case store.Stale, store.Unknown:
		return stepClaim, true, nil
	}
	return "", false, unexpected("finish", code)
}

// afterWake decides on a message of the wake list; a ping is answered first.
func afterWake(kind store.WakeKind) step {
	switch kind {
	case store.WakeJob:
		return stepWork
	case store.WakePing:
		return stepWait
	}
	return stepClaim // always safe: a ring, the time that was up, or what a later version says
}

// unexpected ends the actor: its scripts and its program are of two versions, and to go on would be a guess.
func unexpected(call string, code store.Code) error {
	return fmt.Errorf("%s: answer %q is not known here: the scripts in use are of another version", call, code)
}
