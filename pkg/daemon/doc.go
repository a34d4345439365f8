// Package daemon puts the parts together: Run is the order in which they start and stop. It also
// answers the API for a running daemon (backend) and, from the pinned maps, for a dead one (Pinned).
//
// Who owns what: the engine's goroutine alone owns the view and writes the maps; the sweep's alone
// closes expired flows; the API's only read snapshots and change the store. They meet in channels
// that say "something changed" and in one published snapshot.
package daemon
