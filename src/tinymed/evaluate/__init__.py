"""Scoring answers: published metrics, honest ones, controls, intervals."""
