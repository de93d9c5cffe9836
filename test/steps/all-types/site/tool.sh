#!/bin/sh
echo the tool
