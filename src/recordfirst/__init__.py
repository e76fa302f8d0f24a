"""Durable workflows in which the system of record is written first, asked first and never contradicted."""
