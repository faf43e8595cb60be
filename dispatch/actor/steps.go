package actor

import (
	"fmt"

	"herosup/dispatch/store"
)

// step is what the loop does about an answer.
type step string

const (
	stepAsk   step = "ask"   // there may be more: ask again while a slot is free
	stepWait  step = "wait"  // for an end or for the wake list
	stepHello step = "hello" // Redis does not know us
)

// afterHello decides on the answer of hello.
func afterHello(code store.Code) error {
	switch code {
	case store.OK:
		return nil
	case store.Superseded:
		return ErrSuperseded
	}
	return unexpected("hello", code)
}

// afterExchange decides on the code of an exchange.
func afterExchange(code store.Code) (step, error) {
	switch code {
	case store.GotJob, store.Idle, store.Closed, store.NotWanted: // opening the gate rings
		return stepWait, nil
	case store.Again:
		return stepAsk, nil
	case store.Unregistered:
		return stepHello, nil
	}
	return "", unexpected("exchange", code)
}

// afterTold decides on what was answered to an end: whether it counted.
func afterTold(code store.Code) (counted bool, err error) {
	switch code {
	case store.OK:
		return true, nil
	case store.Stale, store.Unknown:
		return false, nil
	}
	return false, unexpected("end of a job", code)
}

// afterWake decides on a message of the wake list; a ping is answered, a job taken first.
func afterWake(kind store.WakeKind) step {
	switch kind {
	case store.WakeJob, store.WakePing, store.WakeCancel:
		return stepWait
	}
	return stepAsk // always safe: a ring, the time that was up, or what a later version says
}

// unexpected ends the actor: its scripts and its program are of two versions, and to go on would be a guess.
func unexpected(call string, code store.Code) error {
	return fmt.Errorf("%s: answer %q is not known here: the scripts in use are of another version", call, code)
}
