// Package wire is the grammar of a zinit socket in both dialects: JSON-RPC
// (zinit v0.2.15 and later), how messages are cut out of a byte stream and what
// their envelope looks like; text (the versions before), one line and one reply a
// connection; and how the socket is reached.
//
// The client (package zinit) and the server (package zinit/server) both stand
// on it, so that neither can drift from the other by itself.
//
// Comes in: bytes of a unix stream socket. Goes out: whole messages, each a
// JSON object or array, and their envelopes.
//
// Guarantees: a message is bounded (MaxMessage) before it is in memory; bytes
// that can not begin a message are named as garbage once per run of them and
// the stream goes on behind them; nothing here starts a goroutine or keeps a
// state beyond the Scanner's.
//
// The dialect needs no separator between messages: the original's official
// client sends none, so they are told apart by balanced brackets. What we
// send ends in a newline, which the dialect allows everywhere and the text
// dialect of older versions needs to answer at all.
package wire
