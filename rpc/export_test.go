package rpc

import sup "github.com/supnode/supnode/supervisor"

// Rename makes a port claim another name than its certificate's.
func Rename(p *Port, name sup.NodeName) { p.cfg.Node = name }

// LimitFrames lowers MaxFrame for the connections that a port has from now on.
func LimitFrames(p *Port, n int) { p.maxFrame = n }

// LimitStream lowers MaxFrame for what one end of a stream sends and takes.
func LimitStream(s *SyncConn, n int) { s.f.limit = n }
