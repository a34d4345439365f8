// Package api is the door to a running daemon: HTTP over a unix socket, under /headgate/v1/, and
// the Go client that the command line uses. Its types are what both sides speak.
//
// Look is what can be read, with or without a daemon: Client asks the daemon, and Pinned (package
// daemon) reads the pinned maps when there is none. Control is what only a daemon can do.
//
// Every answer carries HeaderGeneration, the generation of the desired state that the request made
// or saw, and HeaderApplied, the one that the data path runs. A change with ?wait=applied is
// answered once the second has reached the first.
package api
