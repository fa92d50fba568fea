"""Names to make people from: (given names, family names, family name comes first) per culture.

A name that is not written in Latin letters carries its Latin spelling after a bar, for the e-mail address.
"""

from __future__ import annotations

CULTURES: tuple[tuple[tuple[str, ...], tuple[str, ...], bool], ...] = (
    (
        ("Emma", "Olivia", "James", "Noah", "Grace", "Henry", "Charlotte", "Theo", "Harriet", "Samuel"),
        ("Smith", "Johnson", "Walker", "Hughes", "Bennett", "Carter", "Whitfield", "Ashworth", "Palmer", "Reed"),
        False,
    ),
    (
        ("Saoirse", "Cian", "Niamh", "Eoin", "Aoife", "Pádraig"),
        ("O'Brien", "O'Sullivan", "MacCarthy", "Ní Dhomhnaill", "Byrne", "O'Shaughnessy"),
        False,
    ),
    (
        ("Lukas", "Anna", "Jürgen", "Käthe", "Maximilian", "Sophie", "Björn", "Annegret"),
        ("Müller", "Schmidt", "Weiß", "Größmann", "von der Heide", "Schröder", "Schmidt-Rottluff", "Köhler"),
        False,
    ),
    (
        ("Camille", "Éloïse", "Jean-Baptiste", "Chloé", "Théo", "François", "Maëlys"),
        ("Lefèvre", "Dubois", "d'Aubigné", "Moreau", "L'Hôpital", "de La Rochefoucauld", "Besançon"),
        False,
    ),
    (
        ("María José", "Javier", "Lucía", "Íñigo", "María de los Ángeles", "Andrés", "Begoña"),
        ("García", "Núñez Ortega", "Fernández-Villaverde", "Ibáñez", "Muñoz de la Peña", "Ruiz"),
        False,
    ),
    (
        ("João", "Inês", "Gonçalo", "Beatriz", "Conceição", "Thiago"),
        ("Silva", "Araújo", "Magalhães", "dos Santos", "Guimarães", "Falcão e Cunha"),
        False,
    ),
    (
        ("Giulia", "Matteo", "Niccolò", "Chiara", "Alessandro"),
        ("Rossi", "D'Angelo", "Conti", "Dell'Acqua", "Ferrari"),
        False,
    ),
    (
        ("Søren", "Åsa", "Freja", "Øyvind", "Aino", "Björk", "Lars"),
        ("Nielsen", "Sjöström", "Bjørnstad", "Virtanen", "Þórsdóttir", "Ångström", "Hægstad"),
        False,
    ),
    (
        ("Zofia", "Łukasz", "Małgorzata", "Jiří", "Věra", "Dragoș", "Đorđe", "Zsófia"),
        ("Kowalczyk", "Wiśniewska", "Dvořák", "Nováková", "Ionescu", "Szczepański", "Kovačević", "Nagy"),
        False,
    ),
    (
        ("Ольга|Olga", "Дмитро|Dmytro", "Елена|Elena", "Тарас|Taras"),
        ("Шевченко|Shevchenko", "Коваленко|Kovalenko", "Петрова|Petrova"),
        False,
    ),
    (
        ("Ayşe", "Mehmet", "Çağla", "Işıl", "Ömer"),
        ("Yılmaz", "Öztürk", "Çelik", "Şahin", "Kılıç"),
        False,
    ),
    (
        ("Amina", "Youssef", "Layla", "Omar", "Fatima Zahra", "Khalid"),
        ("al-Rashid", "Haddad", "Ben Ali", "El Amrani", "Mansour", "bin Abdulaziz"),
        False,
    ),
    (
        ("Priya", "Arjun", "Lakshmi", "Rohan", "Ananya", "Venkata Subramanian"),
        ("Sharma", "Patel", "Iyer", "Chatterjee", "Reddy", "Krishnamurthy Venkataraman"),
        False,
    ),
    (
        ("Chiamaka", "Kwame", "Thandiwe", "Oluwaseun", "Wanjiru", "Tendai"),
        ("Okonkwo", "Mensah", "Dlamini", "Adébáyò", "Kamau", "Ng'ang'a"),
        False,
    ),
    (("太郎|Taro", "花子|Hanako", "翔|Sho", "美咲|Misaki"), ("山田|Yamada", "佐藤|Sato", "鈴木|Suzuki"), True),
    (("伟|Wei", "秀英|Xiuying", "子涵|Zihan", "明|Ming"), ("王|Wang", "李|Li", "张|Zhang", "陈|Chen"), True),
    (("Ji-woo", "Min-jun", "Seo-yeon", "Hyun"), ("Kim", "Park", "Choi", "Jung"), True),
    (("Thị Hương", "Văn Đức", "Minh Anh", "Quốc Bảo"), ("Nguyễn", "Trần", "Lê", "Phạm"), True),
    (
        ("Kai", "Keolani", "Malia"),
        ("Kealoha", "Kahanamoku", "Keihanaikukauakahihuliheekahaunaele"),
        False,
    ),
)

LATIN = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "þ": "th", "Þ": "Th"}
)

# (department, first digits of its cost center)
DEPARTMENTS = (
    ("Product", "41"),
    ("Engineering", "42"),
    ("Design & Research", "43"),
    ("Marketing", "51"),
    ("Sales", "52"),
    ("Customer Success", "53"),
    ("Finance", "61"),
    ("People & Culture", "62"),
    ("Legal", "63"),
    ("IT Operations", "71"),
)

# First digit of the cost center -> division
DIVISIONS = {"4": "Product & Technology", "5": "Market", "6": "Corporate", "7": "Operations"}

TEAMS = (
    "Roadmap", "Platform", "Design Studio", "Growth", "Field Sales", "Onboarding", "Payments", "Workplace",
    "Data Guild", "Mobile", "Research Lab", "Partners", "Agile Coaches", "Architecture", "Brand", "Support",
)  # fmt: skip
