# Many slow readers in one process: usage slow-crowd.pl PORT COUNT BYTES_A_SECOND REQUEST, ends with its input. Each has a receive buffer
# of a few KiB, which Node cannot ask for, so that the kernels take little for it and the server soon sees that it is behind.
use strict;
use warnings;
use Socket;
use IO::Select;

use constant BUFFER_BYTES => 4096;

my ($port, $count, $rate, $request) = @ARGV;
my @sockets;
for (1 .. $count) {
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
  setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack('l', BUFFER_BYTES)) or die "setsockopt: $!";
  connect($socket, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!";
  syswrite($socket, $request) == length $request or die "write: $!";
  push @sockets, $socket;
}
syswrite(STDOUT, "open\n");
my $input = IO::Select->new(\*STDIN);
until ($input->can_read(1)) {
  next unless $rate > 0;
  # Only where something has come: what was cut off reads as an error or an end, and is left alone.
  sysread($_, my $bytes, $rate) for IO::Select->new(@sockets)->can_read(0);
}
