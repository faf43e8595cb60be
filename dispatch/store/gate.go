package store

import "context"

// Gate is the answer of CloseGate.
type Gate struct {
	Code        Code // OK or Unregistered
	Held        int  // jobs in hand: 0 means drained
	Incarnation string
}

// CloseGate closes an actor's intake by name: from the answer on it takes no job. With Held > 0
// a drained fact follows its last finish.
func (d *Daemon) CloseGate(ctx context.Context, actor string) (Gate, error) {
	k := d.s.keys
	return d.gate(ctx, "close", actor, []key{k.epoch(), k.actor(actor)}, dec(d.epoch), actor)
}

// OpenGate opens it again and rings the actor so that it claims.
func (d *Daemon) OpenGate(ctx context.Context, actor string) (Gate, error) {
	k := d.s.keys
	return d.gate(ctx, "open", actor, []key{k.epoch(), k.actor(actor), k.wake(actor)}, dec(d.epoch))
}

func (d *Daemon) gate(ctx context.Context, script, actor string, ks []key, args ...any) (Gate, error) {
	if err := bad("actor id", actor); err != nil {
		return Gate{}, err
	}
	r, err := d.s.run(ctx, script, ks, args...)
	if err != nil {
		return Gate{}, err
	}
	g := Gate{Code: r.code()}
	if g.Code == OK {
		g.Held, g.Incarnation = r.num(1), r.str(2)
	}
	return g, r.err
}

// Ping puts a ping on the actor's wake list: OK, Unregistered or Full. A busy actor reads it
// after its job. The same nonce again is not put twice.
func (d *Daemon) Ping(ctx context.Context, actor, nonce string) (Code, error) {
	if err := bad("nonce", nonce); err != nil {
		return "", err
	}
	return d.message(ctx, "ping", actor, dec(d.epoch), nonce)
}

// Ring makes an actor call Claim: OK. It needs no registration (after a refill the
// actors wait on their wake lists without knowing that theirs is lost); unread it expires.
func (d *Daemon) Ring(ctx context.Context, actor string) (Code, error) {
	return d.message(ctx, "ring", actor, dec(d.epoch))
}

func (d *Daemon) message(ctx context.Context, script, actor string, args ...any) (Code, error) {
	if err := bad("actor id", actor); err != nil {
		return "", err
	}
	k := d.s.keys
	r, err := d.s.run(ctx, script, []key{k.epoch(), k.actor(actor), k.wake(actor)}, args...)
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}
