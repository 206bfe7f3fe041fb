# SPDX-License-Identifier: MIT
dist_man_MANS += man/pvbackctl.8 man/pvbackd.8 man/pvbackd.conf.5 man/block-pvbackd.8 man/vif-pvbackd.8 \
	man/pvbackd-counters.7 man/pvbackd-disks.7 man/pvbackd-keys.7 man/pvbackd-network.7 man/pvbackd-restart.7 \
	man/pvbackd-toolstacks.7 man/pvbackd-troubleshooting.7
