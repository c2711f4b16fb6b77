# A process with a known amount of touched memory that tells whether it is still whole.
#
#   memory [MEGABYTES] [FILE]      defaults: 64 /data/memory.log
#
# Fills MEGABYTES of memory with random bytes, keeps a checksum of each megabyte, and every 100 ms checks one
# megabyte and writes a line to standard output and to FILE:
#
#   <beat> uptime=<seconds since boot> mb=<size> sum=<checksum of the megabyte looked at> ok
#
# "CORRUPT" in place of "ok" when the memory is not what it was. perl-base alone, so plain read and write: CRIU
# cannot dump io_uring.
use strict;
use warnings;
$| = 1;

my $megabytes = shift // 64;
my $file      = shift // '/data/memory.log';
my $unit      = 1 << 20;

sub checksum { return unpack( '%32N*', $_[0] ) }

open( my $random, '<:raw', '/dev/urandom' ) or die "cannot open /dev/urandom: $!\n";
my ( @memory, @sums );
for my $i ( 0 .. $megabytes - 1 ) {
    my $block = '';
    while ( length($block) < $unit ) {
        sysread( $random, $block, $unit - length($block), length($block) ) or die "cannot read random bytes: $!\n";
    }
    $memory[$i] = $block;
    $sums[$i]   = checksum($block);
}
close($random);
print "holding $megabytes MB\n";

open( my $log, '>>', $file ) or die "cannot write $file: $!\n";
my $beat = 0;
while (1) {
    $beat++;
    my $i   = $megabytes > 0 ? $beat % $megabytes : 0;
    my $sum = $megabytes > 0 ? checksum( $memory[$i] ) : 0;
    open( my $clock, '<', '/proc/uptime' );
    my ($uptime) = split( / /, <$clock> );
    close($clock);
    my $state = ( $megabytes == 0 || $sum == $sums[$i] ) ? 'ok' : 'CORRUPT';
    my $line  = "$beat uptime=$uptime mb=$megabytes sum=$sum $state\n";
    print $line;
    syswrite( $log, $line );
    select( undef, undef, undef, 0.1 );
}
