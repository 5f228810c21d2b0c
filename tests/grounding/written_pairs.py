"""Values as people and small models write them: `meant | written | verdict`.

`same`: it has to be understood. `other`: it means something else, or may, and must never be taken for the same. `doubt`: it is most
likely the same, and is not taken for it all the same, since it can be read in another way or is too far from a plain value.
"""

PAIRS = {
    "money": """
        1500 EUR | 1.5k EUR | same
        1500 EUR | 1,5k EUR | same
        1500 EUR | EUR 1.5k | same
        1500 EUR | €1.5k | same
        1500 EUR | €1,500 | other
        1500 EUR | €1,500.00 | same
        1234.50 EUR | 1 234,50 € | same
        1234.50 EUR | 1.234,50 € | same
        1234.50 EUR | 1,234.50 EUR | same
        1234.50 EUR | 1'234.50 EUR | same
        1234.50 EUR | 1234,5 euros | same
        1234.50 EUR | 1 234.5 € | same
        1234.50 EUR | EUR 1 234,50 | same
        1234.50 EUR | 1234 euros and 50 cents | same
        1234.50 EUR | 1234 euros 50 | same
        5 EUR | five euros | same
        5 EUR | fiver | other
        0.50 EUR | 50 cents | doubt
        0.50 EUR | 50 ct | doubt
        0.50 EUR | 50c | doubt
        50 EUR | 50 cents | other
        1 GBP | 100p | doubt
        1 GBP | a pound | doubt
        3.20 EUR | 3€20 | same
        2000000 EUR | 2M EUR | doubt
        2000000 EUR | 2 mn EUR | same
        2000000 EUR | €2m | doubt
        2000000 EUR | 2 million euros | same
        2000000 EUR | 2 Mio. EUR | same
        2500000000 USD | US$2.5bn | same
        100 USD | 100 $ | other
        100 USD | $100 | other
        100 USD | 100 bucks | other
        100 USD | USD100 | same
        100 USD | 100USD | same
        100 USD | 100 US dollars | same
        100 USD | 100 U.S. dollars | same
        100 USD | $100 USD | same
        100 USD | 100 EUR | other
        100 USD | US$ 1,00 | other
        100 USD | 100.00 USD | same
        100 USD | 100,- USD | same
        100 EUR | 100,-- € | same
        100 EUR | 100.- EUR | same
        100 CHF | CHF 100.\u2013 | same
        100 CHF | Fr. 100.- | doubt
        100 EUR | -100 EUR | other
        -100 EUR | (100) EUR | other
        -100 EUR | minus 100 EUR | same
        -100 EUR | EUR -100 | same
        -100 EUR | \u2212100 € | same
        -100 EUR | -€100 | same
        100 EUR | about 100 EUR | other
        100 EUR | ~100 EUR | other
        100 EUR | up to 100 EUR | other
        100 EUR | 100 EUR or so | other
        100 EUR | 100 EUR per month | other
        100 EUR | 100 EUR/month | other
        100 EUR | 100 EUR net | other
        100 EUR | 100 EUR plus VAT | other
        100 EUR | 90-100 EUR | other
        100 EUR | 100 or 200 EUR | other
        100 EUR | 1OO EUR | other
        12000 EUR | twelve thousand euros | same
        12500 EUR | twelve and a half thousand euros | same
        12000 EUR | 12 grand | other
        12000 EUR | 12k | other
        12000 EUR | 12K€ | same
        12000 EUR | 12 k€ | same
        1000 JPY | ¥1000 | other
        1000 JPY | 1000 yen | same
        1000 INR | ₹1,000 | other
        100000 INR | ₹1,00,000 | doubt
        100000 INR | 1 lakh rupees | other
        100 SEK | 100 kr | other
        100 SEK | 100 SEK | same
        100 SEK | SEK 100:- | same
        99.99 EUR | 99.990 EUR | other
        99.99 EUR | 100 EUR | other
        100 EUR | one hundred (100) euros | same
        100 EUR | 100 EUR (one hundred euros) | same
        100 EUR | 100 EUR (two hundred euros) | other
        110 EUR | one one zero euros | other
        0 EUR | free | other
        0 EUR | nothing | other
        0 EUR | zero euros | same
    """,
    "quantity": """
        36 l | 3 dozen litres | same
        1.5 kg | 1500 g | same
        1.5 kg | 1,5 kg | same
        1.5 kg | 1.500 g | other
        1.5 kg | one and a half kilos | same
        1.5 kg | 1 1/2 kg | same
        1.5 kg | 1½ kg | same
        1.5 kg | 3/2 kg | same
        0.5 kg | half a kilo | same
        0.5 kg | 1/2 kg | same
        0.5 kg | 500g | same
        0.25 l | a quarter of a litre | same
        0.25 l | quarter litre | same
        2 km | two thousand metres | same
        2 km | 2000m | same
        2 km | 2 k | other
        2 km | 2 miles | other
        5 mg | 5 milligrams | same
        5 mg | 5 MG | other
        5 mg | 0.005 g | same
        5 mg | 5 mcg | other
        5 mg/ml | 5 mg per ml | same
        5 mg/ml | 5 mg / ml | same
        5 mg/ml | 5 g/l | same
        5 mg/ml | 5 mg/l | other
        100 km/h | 100 kph | same
        100 km/h | 100 kilometres per hour | same
        100 km/h | 100 km per h | same
        100 mph | 100 miles per hour | same
        100 km/h | 100 mph | other
        100 km/h | 27.7777778 m/s | same
        20 degC | 20 °C | same
        20 degC | 20 degrees Celsius | same
        20 degC | 20°C | same
        20 degC | 20 C | other
        20 degC | 68 °F | same
        20 degC | 20 degrees | other
        20 degC | 20 °F | other
        3 kWh | 3 kilowatt hours | same
        3 kWh | 3 kW | other
        3 kWh | 3000 Wh | same
        16 GB | 16 GiB | other
        16 GB | 16 Gb | other
        16 GB | 16 gigabytes | same
        16 GiB | 16384 MiB | same
        10 Mbit/s | 10 Mbps | same
        10 Mbit/s | 10 MB/s | other
        10 Mbit/s | 10 megabits per second | same
        30 m2 | 30 sqm | same
        30 m2 | 30 square metres | same
        30 m2 | 30 m² | same
        30 m2 | 30 m | other
        2 h | two hours | same
        2 h | 120 min | same
        1 t | 1000 kg | same
        1 t | one ton | other
        1 t | one tonne | same
        10 lb | 10 pounds | same
        10 lb | 10 # | other
        6 ft | 72 inches | same
        6 ft | 6' | doubt
        6 ft | 6'' | other
        70 in | 5 ft 10 in | doubt
        70 in | 5'10" | doubt
        500 l | five hundred litres or more | other
        500 l | at least 500 l | other
        500 l | 500 l each | other
        500 l | no fewer than 500 l | other
        500 l | approx. 500 l | other
        500 l | 500 I | other
        500 ml | half a liter | same
        500 ml | 0,5 L | same
        500 ml | 50 cl | same
        500 ml | a pint | other
    """,
    "date": """
        2026-08-07 | 07/08/2026 | other
        2026-07-08 | 07/08/2026 | other
        2026-08-07 | 7 August 2026 | same
        2026-08-07 | 7th of August, 2026 | same
        2026-08-07 | August 7, 2026 | same
        2026-08-07 | Aug 7 2026 | same
        2026-08-07 | 7.8.2026 | same
        2026-08-07 | 07.08.26 | other
        2026-08-07 | Fri 7 Aug 2026 | same
        2026-08-07 | Friday, August 7th, 2026 | same
        2026-08-07 | Thursday, August 7th, 2026 | other
        2026-08-07 | 7 August | other
        2026-08-07 | next Friday | other
        2026-08-07 | 2026/08/07 | same
        2026-08-07 | 2026/8/7 | same
        2026-08-07 | 20260807 | same
        2026-08-07 | 2026.08.07 | same
        2026-08-07 | 7-Aug-2026 | same
        2026-08-07 | 7-Aug-26 | same
        2026-08-07 | 7 Aug '26 | same
        2026-08-07 | 7. August 2026 | same
        2026-08-07 | the seventh of August 2026 | same
        2026-08-07 | August seventh 2026 | same
        2026-08-07 | 8 August 2026 | other
        2026-08-07 | 7 August 2025 | other
        2026-08-07 | not before 7 August 2026 | other
        2026-08-07 | by 7 August 2026 | other
        2026-08-07 | until 7 August 2026 | other
        2026-08-07 | 7 August 2026 at noon | other
        2026-08-07 | 7-8 August 2026 | other
        2026-08-07 | 13/07/2026 | other
        2026-07-13 | 13/07/2026 | same
        2026-07-13 | 07/13/2026 | same
        2026-07-13 | 2026-13-07 | other
        2026-08-07 | 2026-8-7 | same
        2026-08-07 | 2026-07-08 | other
        2026-08-07 | 2026-W32-5 | same
        2026-08-07 | day 219 of 2026 | other
        2026-12-24 | Christmas Eve 2026 | other
        2026-12-31 | the last day of 2026 | other
        2024-02-29 | 29 Feb 2024 | same
        2026-02-28 | 29 Feb 2026 | other
        2026-08-07 | 7 Agust 2026 | other
    """,
    "datetime": """
        2026-08-07T09:30:00+02:00 | 2026-08-07T07:30:00Z | same
        2026-08-07T09:30:00+02:00 | 7 August 2026 9:30 CEST | doubt
        2026-08-07T09:30:00+02:00 | 7 August 2026, 9.30 am CEST | same
        2026-08-07T09:30:00+02:00 | 7 Aug 2026 09:30 (Berlin) | other
        2026-08-07T09:30:00+02:00 | 7 Aug 2026 09:30 Europe/Berlin | same
        2026-08-07T09:30:00+02:00 | half past nine tomorrow | other
        2026-08-07T09:30:00+02:00 | half past nine on 7 August 2026 | other
        2026-08-07T09:30:00+02:00 | half past nine am on 7 August 2026 CEST | doubt
        2026-08-07T09:30:00+02:00 | 2026-08-07 09:30 | other
        2026-08-07T09:30:00+02:00 | 2026-08-07 09:30 UTC | other
        2026-08-07T09:30:00+02:00 | 2026-08-07 09:30 UTC+2 | same
        2026-08-07T09:30:00+02:00 | 2026-08-07 09:30 GMT+2 | same
        2026-08-07T09:30:00+02:00 | 2026-08-07 9:30pm CEST | other
        2026-08-07T09:30:00+02:00 | 2026-08-07 21:30+02:00 | other
        2026-08-07T09:30:00+02:00 | 2026-08-07 at 0930 CEST | same
        2026-08-07T09:30:00+02:00 | 07/08/2026 09:30 CEST | other
        2026-08-07T09:30:00+02:00 | 2026-08-07T09:30+02 | same
        2026-08-07T09:30:00+02:00 | 2026-08-07T09:30:00.000+0200 | same
        2026-08-07T09:30:00+02:00 | 2026-08-07 09:30 CET | other
        2026-01-07T09:30:00+01:00 | 2026-01-07 09:30 CET | same
        2026-01-07T09:30:00+01:00 | 2026-01-07 09:30 CEST | other
        2026-08-07T12:00:00+00:00 | noon UTC on 7 August 2026 | same
        2026-08-07T00:00:00+00:00 | midnight UTC on 7 August 2026 | other
        2026-08-08T00:00:00+00:00 | 7 August 2026 24:00 UTC | doubt
        2026-08-07T12:00:00+00:00 | 12 pm UTC on 7 August 2026 | same
        2026-08-07T00:00:00+00:00 | 12 pm UTC on 7 August 2026 | other
        2026-08-07T17:00:00+00:00 | 5 o'clock UTC, 7 August 2026 | other
        2026-08-07T17:00:00+00:00 | before 17:00 UTC 7 August 2026 | other
        2026-08-07T17:00:00+00:00 | 17:00 UTC or 18:00 UTC 7 August 2026 | other
        2026-08-07T17:00:00+00:00 | 7 August 2026 17h UTC | same
        2026-08-07T17:00:00+00:00 | 7 August 2026 1700Z | same
        2026-08-07T17:00:00+00:00 | 1700 hrs UTC 7 August 2026 | same
        2026-08-07T17:00:00+00:00 | 5pm UTC Fri 7 August 2026 | same
        2026-08-07T17:00:00+00:00 | 5pm UTC Sat 7 August 2026 | other
        2026-08-07T17:00:00+00:00 | 5 p.m. UTC, 7 August 2026 | same
        2026-08-07T17:15:00+00:00 | quarter past five pm UTC, 7 August 2026 | same
        2026-08-07T17:00:00+00:00 | 1786122000 | other
    """,
    "duration": """
        90m | 1.5 hours | same
        90m | an hour and a half | same
        90m | one hour thirty minutes | same
        90m | 1h30 | same
        90m | 1 h 30 | same
        90m | 1:30 | other
        90m | 1:30 h | same
        90m | 90' | other
        90m | 90 minutes | same
        90m | ninety mins | same
        90m | 5400 s | same
        90m | 5400 seconds | same
        90m | PT1H30M | same
        90m | PT90M | same
        90m | 90 | other
        90m | 90 h | other
        90m | 90 months | other
        90m | less than 90 minutes | other
        90m | at least 90 minutes | other
        90m | 90 minutes or less | other
        90m | about 90 minutes | other
        30m | half an hour | same
        30m | a half hour | same
        15m | a quarter of an hour | same
        15m | quarter of an hour | same
        45m | three quarters of an hour | same
        45m | 3/4 hour | same
        24h | one day | same
        24h | a day | same
        24h | 1 business day | other
        24h | 1d | same
        336h | two weeks | same
        336h | a fortnight | same
        336h | 14 days | same
        720h | a month | other
        720h | 30 days | same
        72h | 3 working days | other
        72h | three days | same
        72h | in three days | other
        1m | 1 M | other
        60s | 1m | same
        60s | a minute | same
        0s | no time | other
        0s | 0 min | same
        2h | a couple of hours | other
        2h | two hrs | same
        2h | 2hrs | same
        2h | 2 hr. | same
        150m | two and a half hours | same
        150m | 2½ hours | same
        150m | 2 1/2 hours | same
    """,
    "id": """
        eu-west-1 | EU West 1 | other
        eu-west-1 | eu-west-1. | other
        eu-west-1 | EU-WEST-1 | other
        eu-west-1 | eu_west_1 | other
        eu-west-1 | eu-west-l | other
        eu-west-1 | "eu-west-1" | other
        eu-west-1 | `eu-west-1` | other
        eu-west-1 | eu-west-1 | same
        eu-west-1 | eu west one | other
        ORD-0071 | ORD-71 | other
        ORD-0071 | ORD-0O71 | other
        ORD-0071 | ORD\u20130071 | other
        ORD-0071 | ord-0071 | other
        A1B2 | A1 B2 | other
        A1B2 | Alpha one Bravo two | other
        0042 | 42 | other
        user@example.com | User@Example.com | other
        user@example.com | user@example.com. | other
        v1.10 | v1.1 | other
        1.10.0 | 1.10 | other
    """,
    "text": """
        no fewer than 3 | at least 3 | other
        no fewer than 3 | no more than 3 | other
        not before Monday | after Monday | other
        not before Monday | before Monday | other
        not before Monday | Not before Monday. | same
        do not restart web-1 | don't restart web-1 | same
        do not restart web-1 | restart web-1 | other
        never call the customer | call the customer | other
        restart web-1 | Restart web-1 | same
        restart web-1 | restart  web-1 | same
        restart web-1 | restart web-1! | other
        cannot be moved | can not be moved | same
        cannot be moved | can't be moved | same
        with sugar | without sugar | other
        all but two | all, but two | other
        increase by 5 % | decrease by 5 % | other
        door left open | door right open | other
        no | No. | same
        unless it rains | if it rains | other
        isn't required | is not required | same
        isn't required | is required | other
        1.10 | 1.1 | other
        0042 | 42 | other
        01234 | 1234 | other
        1e3 | 1000 | other
        5e2 | five hundred | other
        3.0 | 3 | other
        +4930123 | 4930123 | other
        10.30 | 10:30 | other
        12.30 | 12:30 | other
        a | 1 | other
        a | one | other
        an | 1 | other
        300 K | 300000 | other
        10 GB | 10 Gb | other
        10 GB free | 10 Gb free. | other
        5 MW | 5 mW | other
        5 mw | 5 MW | other
        dose 5 mg | dose 5 Mg | other
        5 Mm | 5 mm | other
        ORD-0071 | ORD-71 | other
        ABC 100 | ABC 100.0 | other
        room 12 | room 12.0 | other
        route 007 | route 7 | other
        12 KG | 12 kg | same
        5 Km | 5 km | same
        Take 5 Apples | take 5 apples | same
        1 000 | 1000 | same
        12,5 | 12.5 | same
        \u22125 | -5 | same
        500 | five hundred | same
        100 EUR | EUR 100 | same
        12 pm | noon | same
        16:00Z | 4 pm UTC | same
        a dozen | 12 | same
        half | 0.5 | same
        2 h | 120 min | same
        3 | three | same
    """,
    "choice": """
        high | High | same
        high | HIGH | same
        high | highest | other
        high | not high | other
        high | low | other
        high | high priority | other
        high | "high" | other
    """,
    "int": """
        36 | 3 dozen | same
        36 | three dozen | same
        36 | 3 doz | other
        6 | half a dozen | same
        1500 | 1.5k | same
        1500 | 1,5k | same
        1500 | fifteen hundred | same
        1500 | 15 hundred | same
        1200 | twelve hundred | same
        1000 | 1 000 | same
        3 | no fewer than 3 | other
        3 | at least three | other
        3 | 3 or 4 | other
        3 | 3-4 | other
        3 | 3+ | other
        3 | >3 | other
        3 | ~3 | other
        3 | 3rd | other
        3 | third | other
        3 | 3x | other
        3 | three times | other
        3 | III | other
        3 | 3. | same
        3 | 3.0 | same
        3 | 03 | same
        3 | #3 | other
        3 | 3 pcs | other
        3 | three (3) | same
        3 | 3 (three) | same
        3 | 3 (four) | other
        20 | a score | other
        100 | a hundred | same
        100 | hundred | same
        150 | a hundred and fifty | same
        150 | one fifty | other
        1050 | one thousand fifty | same
        0 | none | other
        0 | zero | same
        0 | nil | other
        -3 | minus three | same
        -3 | (3) | other
        3 | -3 | other
        10 | 0x0A | other
        10 | 1e1 | same
        10 | ten | same
        10 | 1O | other
        10000000 | 1 crore | other
        100 | 1e2 | same
        1000000 | one million | same
        1000000 | 1M | doubt
        1000000 | 1 m | other
    """,
    "list": """
        ["a","b"] | ["b","a"] | other
        ["a","b"] | ["a","b","b"] | other
        ["a","b"] | a, b | doubt
        ["a","b"] | a and b | doubt
        ["a","b"] | b, a | other
        ["a","b"] | 1. a 2. b | other
        ["a","b"] | a | other
        ["a","b"] | a, b, c | other
        ["a","b"] | a or b | other
        ["a","b"] | neither a nor b | other
        ["a","b"] | a; b | doubt
        ["a","b"] | all but c | other
    """,
    "bag": """
        ["a","b"] | ["b","a"] | same
        ["a","b"] | b and a | doubt
        ["a","b"] | both a and b | doubt
        ["a","b"] | not a, b | other
        ["a","b","c"] | a, b and c | doubt
        ["a","b","c"] | c, b & a | doubt
        ["a","b","c"] | a, b, c and d | other
        ["a","b","c"] | everything except d | other
        ["a","a"] | ["a"] | other
    """,
    "name": """
        city bike | town bike | same
        city bike | Urban Bicycle | same
        city bike | city bikes | other
        city bike | a city bike | other
        city bike | MTB | other
        mountain bike | mtb | same
        mountain bike | mountain-bike | other
    """,
    "bool": """
        true | yes | same
        true | yes, please | other
        true | no | other
        true | yep | same
        true | sure | other
        true | not | other
        true | not no | other
        false | no, thanks | other
        false | nope | same
        true | true | same
        true | 1 | other
        true | on | other
        true | not sure | other
        true | yes and no | other
        true | yes, but only on Monday | other
    """,
}
