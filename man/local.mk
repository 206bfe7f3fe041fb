# SPDX-License-Identifier: MIT
dist_man_MANS += man/pvbackctl.8 man/pvbackd.8 man/pvbackd.conf.5 man/block-pvbackd.8 man/vif-pvbackd.8
