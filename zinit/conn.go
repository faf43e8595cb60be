package zinit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"herosup/zinit/wire"
)

// conn is one connection, used by one call at a time.
type conn struct {
	net  net.Conn
	scan *wire.Scanner
	last uint64 // id of the latest request
}

// dial reaches the socket, or says in the user's words why not. Who listens and takes no
// connection is there, and may in a moment: he is waited for as for an answer.
func dial(ctx context.Context, socket string) (*conn, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		n, err := wire.Dial(ctx, socket)
		switch {
		case err == nil:
			return &conn{net: n, scan: wire.NewScanner(n)}, nil
		case !errors.Is(err, syscall.EAGAIN):
			return nil, fmt.Errorf("dial zinit at %s: %w", socket, dialReason(socket, err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("dial zinit at %s: it listens, and takes no connection: %w", socket, context.Cause(ctx))
		}
	}
}

func dialReason(socket string, err error) error {
	fi, statErr := os.Stat(socket)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%w: no such file; is it running, and is this its socket?", ErrNoServer)
	case statErr == nil && fi.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%w but a %s; name the socket that zinit listens on", ErrNotASocket, kindOfFile(fi))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the socket is there but nobody listens; start zinit again", ErrNoServer)
	default:
		return fmt.Errorf("%w: %w", ErrNoServer, err)
	}
}

func kindOfFile(fi os.FileInfo) string {
	if fi.IsDir() {
		return "folder"
	}
	return "file"
}

// listener is the process that listens, and 0 where that is not to be known.
func (k *conn) listener() int {
	pid, _ := wire.ListenerOf(k.net)
	return pid
}

func (k *conn) close() { _ = k.net.Close() }

// bound ends reading and writing with ctx, until stop is called.
func (k *conn) bound(ctx context.Context) (stop func()) {
	deadline, _ := ctx.Deadline()
	_ = k.net.SetDeadline(deadline) // fails on a closed connection, as what follows will
	after := context.AfterFunc(ctx, func() { _ = k.net.SetDeadline(time.Unix(1, 0)) })
	return func() { after() }
}

// exchange sends one request and waits for its answer, until ctx ends. sent
// says whether the request may have reached zinit whole. An error that is not
// an *Error leaves the connection unusable.
func (k *conn) exchange(ctx context.Context, method string, params any) (result json.RawMessage, sent bool, err error) {
	defer k.bound(ctx)()
	k.last++
	id := strconv.FormatUint(k.last, 10)
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, false, fmt.Errorf("encode parameters of %s: %w", method, err)
	}
	msg, err := wire.Encode(wire.Request{Version: wire.Version, ID: json.RawMessage(id), Method: method, Params: raw})
	if err != nil {
		return nil, false, fmt.Errorf("encode %s: %w", method, err)
	}
	if len(msg) > wire.MaxMessage {
		return nil, false, fmt.Errorf("encode %s: %w: %d bytes, at most %d", method, wire.ErrTooLong, len(msg), wire.MaxMessage)
	}
	if _, err := k.net.Write(msg); err != nil {
		return nil, false, ended(ctx, err)
	}
	for {
		answer, err := k.scan.Next()
		if err != nil {
			return nil, true, ended(ctx, err)
		}
		var r wire.Response
		if err := json.Unmarshal(answer, &r); err != nil {
			return nil, true, fmt.Errorf("%w: answer %.80q: %w", ErrDialect, answer, err)
		}
		if r.Version != wire.Version {
			if d, known := speaker(answer); known {
				return nil, false, foreign{d, answer, k.listener()}
			}
			return nil, true, fmt.Errorf("%w: answer %.80q", ErrDialect, answer)
		}
		// An answer to nobody in particular can only be about our request, since
		// it is the only one here; any other id is of somebody who gave up.
		if string(r.ID) == id || r.Error != nil && (len(r.ID) == 0 || string(r.ID) == "null") {
			if r.Error != nil {
				return nil, true, refusal(r.Error)
			}
			return r.Result, true, nil
		}
	}
}

// ended is err, or the end of ctx when that is what cut the connection.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.DeadlineExceeded // the deadline is a moment before ctx's
	}
	return err
}

// refusal is the typed form of an error answer. Data in another shape than
// ours is dropped rather than made an error of its own.
func refusal(e *wire.Error) *Error {
	r := &Error{Code: Code(e.Code), Message: e.Message}
	var data ErrorData
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &data) == nil && data.CodeName != "" {
		r.Data = &data
	}
	return r
}
